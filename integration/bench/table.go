//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table has a title and rows of cells. The first cell of a row is its name.
type table struct {
	title  string
	header []string
	rows   [][]string
}

// missing replaces a figure that was not measured.
const missing = "–"

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write prints the table with aligned columns, or as Markdown. It prints nothing if
// there are no rows.
func (t *table) write(w io.Writer, markdown bool) {
	if len(t.rows) == 0 {
		return
	}
	lines := append([][]string{t.header}, t.rows...)
	widths := make([]int, len(t.header))
	for _, line := range lines {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	if markdown {
		fmt.Fprintf(w, "\n%s\n\n", t.title)
	} else {
		fmt.Fprintf(w, "\n%s\n", t.title)
	}
	for n, line := range lines {
		for i, c := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i == 0 {
				line[i] = c + pad
			} else {
				line[i] = pad + c
			}
		}
		if !markdown {
			fmt.Fprintln(w, strings.TrimRight(strings.Join(line, "  "), " "))
			continue
		}
		fmt.Fprintln(w, "| "+strings.Join(line, " | ")+" |")
		if n == 0 {
			fmt.Fprintln(w, "|"+strings.Repeat("---|", 1)+strings.Repeat("---:|", len(line)-1))
		}
	}
}

// joinValues formats values as "1.2 / 3.4", with missing for those that are not ok.
func joinValues(n int, precision int, value func(i int) (float64, bool)) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = missing
		if v, ok := value(i); ok {
			parts[i] = fmt.Sprintf("%.*f", precision, v)
		}
	}
	return strings.Join(parts, " / ")
}
