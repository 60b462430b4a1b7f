// Package integration holds the tests of the built programs over real sockets:
// cosproxy between real clients (curl, the official Go and Node SDKs) and the
// emulator in its folder cosemu.
package integration
