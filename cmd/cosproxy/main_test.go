package main

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite the golden files and the settings in README.md")

// TestMain makes the test binary available to tests and scripts as the command cosproxy.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"cosproxy": main})
}

// leakChecked fails if the tests leak a goroutine.
type leakChecked struct{ *testing.M }

func (l leakChecked) Run() int {
	code := l.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", UpdateScripts: *update})
}
