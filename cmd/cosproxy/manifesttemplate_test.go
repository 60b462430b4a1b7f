//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"text/template"
	syntax "text/template/parse"
)

func manifestTemplatesOf(t *testing.T) manifestTemplates {
	t.Helper()
	templates, err := parseManifestTemplates(manifestFiles)
	if err != nil {
		t.Fatal(err)
	}
	return templates
}

// TestManifest_TextTemplate compares manifestTemplates with package text/template.
func TestManifest_TextTemplate(t *testing.T) {
	templates := manifestTemplatesOf(t)
	functions := template.FuncMap{}
	for name, f := range templates.functions() {
		if !slices.Contains([]string{"print", "eq", "ne", "not", "and", "or", "include"}, name) {
			functions[name] = f
		}
	}
	reference := template.New("").Funcs(functions)
	reference.Funcs(template.FuncMap{"include": func(name string, data any) (string, error) {
		var b strings.Builder
		err := reference.ExecuteTemplate(&b, name, data)
		return b.String(), err
	}})
	template.Must(reference.ParseFS(manifestFiles, "manifest/*"))
	for name, c := range manifestCases(t) {
		for _, kind := range c.kinds {
			m, _ := newManifest(kind, manifestKinds[kind], manifestFlags{networkPolicy: true}, c.environ)
			for _, file := range manifestKinds[kind].templates {
				var want strings.Builder
				if err := reference.ExecuteTemplate(&want, file[1], m); err != nil {
					t.Fatal(err)
				}
				if got := templates.render(file[1], m); got != want.String() {
					t.Errorf("%s, %s: got\n%s\ntext/template:\n%s", name, file[1], got, want.String())
				}
			}
		}
	}
}

// TestManifestTemplates_Errors: each error in a template is found before it is rendered.
func TestManifestTemplates_Errors(t *testing.T) {
	for text, want := range map[string]string{
		"{{":                                           "unclosed action",
		"{{unknown .App}}":                             `function "unknown" not defined`,
		"{{.Missing}}":                                 "manifest has no field Missing",
		"{{.App.Missing}}":                             "string has no field Missing",
		"{{if .Missing}}{{end}}":                       "no field Missing",
		"{{if .App}}{{else}}{{.Missing}}{{end}}":       "no field Missing",
		"{{range .Files}}{{.Missing}}{{end}}":          "manifestFile has no field Missing",
		"{{range .Files}}{{$.Missing}}{{end}}":         "manifest has no field Missing",
		"{{range $i, $f := .Files}}{{yaml $i}}{{end}}": "yaml $i: argument 1 is int instead of string",
		"{{range $f := .Files}}{{end}}":                "one variable",
		"{{range .Files}}{{else}}a{{end}}":             "else and one variable",
		"{{range .Files}}{{break}}{{end}}":             "not supported",
		"{{range .App}}{{end}}":                        "not a slice",
		"{{with .App}}{{end}}":                         "not supported",
		"{{$a := .App}}":                               "declares a variable",
		"{{1.5}}":                                      "not supported as a value",
		"{{.App | .Name}}":                             "not a function",
		"{{.App .Name}}":                               "not a function",
		"{{yaml}}":                                     "0 arguments instead of 1",
		"{{.App | yaml .App}}":                         "2 arguments instead of 1",
		"{{yaml .Drain}}":                              "argument 1 is int instead of string",
		`{{.App | indent "1"}}`:                        "argument 1 is string instead of int",
		`{{print .App (print .Drain)}}`:                "argument 1 is int instead of string",
		`{{eq .App 1}}`:                                "argument 2 is int instead of string",
		`{{include "none" .}}`:                         "no such template",
		`{{include .App .}}`:                           "no such template",
		`{{include "a" .App}}`:                         "argument 2 is string",
	} {
		_, err := parseManifestTemplates(fstest.MapFS{"manifest/a": {Data: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// TestManifestTemplates_Branches checks that the golden files have every branch of every
// template. Each branch prints a mark of its own.
func TestManifestTemplates_Branches(t *testing.T) {
	templates := manifestTemplatesOf(t)
	var marks []string
	for _, tree := range templates {
		marks = mark(tree.Root, marks)
	}
	var printed strings.Builder
	for _, c := range manifestCases(t) {
		for _, kind := range c.kinds {
			for _, flags := range []manifestFlags{{networkPolicy: true}, {name: "photos", image: "a"}, {image: "a@sha256:b"}} {
				m, _ := newManifest(kind, manifestKinds[kind], flags, c.environ)
				for _, file := range manifestKinds[kind].templates {
					printed.WriteString(templates.render(file[1], m))
				}
			}
		}
	}
	for _, m := range marks {
		if !strings.Contains(printed.String(), m) {
			t.Errorf("no test executes this branch: %s", m)
		}
	}
	if len(marks) < 100 {
		t.Errorf("only %d branches", len(marks))
	}
}

// mark adds a text with a unique name to every branch in node, and to the missing else of
// an if.
func mark(node syntax.Node, marks []string) []string {
	add := func(list **syntax.ListNode, what string, of syntax.Node) {
		if *list == nil {
			*list = new(syntax.ListNode)
		}
		text, _, _ := strings.Cut(of.String(), "}}")
		m := fmt.Sprintf("<%d: %s of %s>", len(marks), what, text)
		marks = append(marks, m)
		marks = mark(*list, marks)
		(*list).Nodes = append((*list).Nodes, &syntax.TextNode{NodeType: syntax.NodeText, Text: []byte(m)})
	}
	switch n := node.(type) {
	case *syntax.ListNode:
		for _, child := range n.Nodes {
			marks = mark(child, marks)
		}
	case *syntax.IfNode:
		add(&n.List, "then", n)
		add(&n.ElseList, "else", n)
	case *syntax.RangeNode:
		add(&n.List, "body", n)
	}
	return marks
}
