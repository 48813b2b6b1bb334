//go:build !race

package shopifysync

const underRace = false
