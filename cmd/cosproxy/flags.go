package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// newFlags are flags that print nothing by themselves. One dash and two dashes
// mean the same, as package flag has it.
func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// parseFlags reads what follows the word of a command that takes flags alone. If
// that was a call for help, or is wrong, the command ends with code.
func parseFlags(flags *flag.FlagSet, args []string, usage string, std streams) (code int, ends bool) {
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(std.out, usage)
		return exitOK, true
	case err != nil || flags.NArg() > 0:
		return unexpected(std), true
	}
	return exitOK, false
}

// inform answers the flags that print something and end.
func inform(args []string, std streams) int {
	flags := newFlags("cosproxy")
	text := ""
	flags.BoolFunc("help", "", func(form string) error {
		switch form {
		case "true":
			text = usage()
		case "markdown":
			text = settingsMarkdown()
		default:
			return errors.New("unknown form")
		}
		return nil
	})
	flags.BoolFunc("version", "", func(string) error {
		text = fmt.Sprintln("cosproxy", version())
		return nil
	})
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) { // -h
		text, err = usage(), nil
	}
	if err != nil || text == "" || flags.NArg() > 0 || flags.NFlag() > 1 {
		return unexpected(std)
	}
	fmt.Fprint(std.out, text)
	return exitOK
}
