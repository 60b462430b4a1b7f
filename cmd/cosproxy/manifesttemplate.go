package main

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
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
// program grows by 1.6 MB, and each idle sidecar by 1.2 MB. Templates are checked before
// they are rendered, so rendering has no errors.
type manifestTemplates map[string]*syntax.Tree

// parseManifestTemplates parses and checks the templates in folder manifest of files.
func parseManifestTemplates(files fs.FS) (manifestTemplates, error) {
	all := make(manifestTemplates)
	functions := all.functions()
	names, err := fs.Glob(files, "manifest/*")
	if err != nil {
		return nil, err
	}
	for _, file := range names {
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, err
		}
		name := path.Base(file)
		trees, err := syntax.Parse(name, string(text), "", "", functions)
		if err != nil {
			return nil, err
		}
		all[name] = trees[name]
	}
	return all, all.check()
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
	functions map[string]any
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
		function, isCall := command.Args[0].(*syntax.IdentifierNode)
		if !isCall {
			result = r.value(command.Args[0], s)
			continue
		}
		var args []reflect.Value
		for _, arg := range command.Args[1:] {
			args = append(args, reflect.ValueOf(r.value(arg, s)))
		}
		if i > 0 {
			args = append(args, reflect.ValueOf(result))
		}
		result = reflect.ValueOf(r.functions[function.Ident]).Call(args)[0].Interface()
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
