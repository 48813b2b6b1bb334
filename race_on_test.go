//go:build race

package shopifysync

// underRace: the race detector makes sync.Pool forget at random, which costs
// allocations that a program without it does not have.
const underRace = true
