package main

import (
	"embed"
	"fmt"
	"reflect"
	"strings"
	syntax "text/template/parse"
)

// manifestFiles are templates that look like their result.
//
//go:embed manifest
var manifestFiles embed.FS

// manifestTemplates renders the templates of folder manifest. They are in the language of
// text/template, of which it has the parts that they use. text/template itself calls
// methods by name, so with it, the linker keeps the exported methods of all types: the
// program grows by 1.6 MB, and each idle sidecar by 1.2 MB. The templates are constant, so
// errors in them are panics.
type manifestTemplates map[string]*syntax.Tree

func parseManifestTemplates() manifestTemplates {
	all, functions := make(manifestTemplates), make(map[string]any)
	for name, f := range all.functions() {
		functions[name] = f
	}
	files, err := manifestFiles.ReadDir("manifest")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		text, err := manifestFiles.ReadFile("manifest/" + file.Name())
		if err != nil {
			panic(err)
		}
		trees, err := syntax.Parse(file.Name(), string(text), "", "", functions)
		if err != nil {
			panic(err)
		}
		all[file.Name()] = trees[file.Name()]
	}
	return all
}

// render returns the text of a template for data.
func (t manifestTemplates) render(name string, data any) string {
	var b strings.Builder
	r := renderer{templates: t, functions: t.functions(), out: &b}
	r.walk(t[name].Root, scope{dot: data, vars: map[string]any{"$": data}})
	return b.String()
}

// renderer executes one template.
type renderer struct {
	templates manifestTemplates
	functions map[string]manifestFunc
	out       *strings.Builder
}

// scope holds the values of dot and the variables at one place of a template.
type scope struct {
	dot  any
	vars map[string]any
}

func (r *renderer) walk(node syntax.Node, s scope) {
	switch n := node.(type) {
	case *syntax.ListNode:
		if n == nil { // there is no else
			return
		}
		for _, child := range n.Nodes {
			r.walk(child, s)
		}
	case *syntax.TextNode:
		r.out.Write(n.Text)
	case *syntax.ActionNode:
		fmt.Fprint(r.out, r.pipe(n.Pipe, s))
	case *syntax.IfNode:
		if isTrue(r.pipe(n.Pipe, s)) {
			r.walk(n.List, s)
		} else {
			r.walk(n.ElseList, s)
		}
	case *syntax.RangeNode:
		r.repeat(n, s)
	default:
		panic(fmt.Sprintf("cosproxy: templates cannot have %s", node))
	}
}

// repeat executes {{range}}, with or without variables for the index and the element.
func (r *renderer) repeat(n *syntax.RangeNode, s scope) {
	items := reflect.ValueOf(r.pipe(n.Pipe, s))
	for i := range items.Len() {
		inner := scope{dot: items.Index(i).Interface(), vars: map[string]any{"$": s.vars["$"]}}
		if len(n.Pipe.Decl) == 2 {
			inner.vars[n.Pipe.Decl[0].Ident[0]], inner.vars[n.Pipe.Decl[1].Ident[0]] = i, inner.dot
		}
		r.walk(n.List, inner)
	}
}

// pipe evaluates commands, each of which gets the result of the one before it as its last
// argument.
func (r *renderer) pipe(p *syntax.PipeNode, s scope) (result any) {
	for i, command := range p.Cmds {
		var args []any
		function, isCall := command.Args[0].(*syntax.IdentifierNode)
		for j, arg := range command.Args {
			if j > 0 || !isCall {
				args = append(args, r.value(arg, s))
			}
		}
		switch {
		case !isCall:
			result = args[0]
			continue
		case i > 0:
			args = append(args, result)
		}
		result = r.functions[function.Ident](args)
	}
	return result
}

func (r *renderer) value(node syntax.Node, s scope) any {
	switch n := node.(type) {
	case *syntax.DotNode:
		return s.dot
	case *syntax.FieldNode:
		return field(s.dot, n.Ident)
	case *syntax.VariableNode:
		return field(s.vars[n.Ident[0]], n.Ident[1:])
	case *syntax.StringNode:
		return n.Text
	case *syntax.NumberNode:
		return int(n.Int64)
	case *syntax.PipeNode:
		return r.pipe(n, s)
	}
	panic(fmt.Sprintf("cosproxy: templates cannot have the value %s", node))
}

// field returns the field of a field and so on.
func field(of any, names []string) any {
	v := reflect.ValueOf(of)
	for _, name := range names {
		v = reflect.Indirect(v).FieldByName(name)
	}
	return v.Interface()
}

// isTrue reports whether {{if}} takes a value as true: it is not zero and not empty.
func isTrue(value any) bool {
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Slice {
		return v.Len() > 0
	}
	return !v.IsZero()
}
