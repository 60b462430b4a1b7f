//go:build !linux

package main

import "fmt"

func main() {
	fmt.Println("bench: the comparison with the peers reads /proc, so it runs on Linux only; skipped")
}
