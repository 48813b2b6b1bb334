// Package integration tests package sqlstore against real databases, by every
// driver that it supports. The servers are named by environment variables; see
// package dbtest.
package integration
