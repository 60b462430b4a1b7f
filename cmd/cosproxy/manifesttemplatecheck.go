package main

import (
	"fmt"
	"reflect"
	syntax "text/template/parse"
)

// check returns an error if a template has a part that renderer does not support, or a
// value of the wrong type, such as an argument of a function.
func (t manifestTemplates) check() error {
	data := reflect.TypeFor[*manifest]()
	c := templateChecker{templates: t, functions: t.functions()}
	for name, tree := range t {
		if err := c.walk(tree.Root, typeScope{dot: data, vars: map[string]reflect.Type{"$": data}}); err != nil {
			return fmt.Errorf("template %s: %w", name, err)
		}
	}
	return nil
}

// templateChecker goes through a template as renderer does, with types instead of values.
type templateChecker struct {
	templates manifestTemplates
	functions map[string]any
}

// typeScope holds the types of the values in a scope.
type typeScope struct {
	dot  reflect.Type
	vars map[string]reflect.Type
}

func (c *templateChecker) walk(node syntax.Node, s typeScope) error {
	switch n := node.(type) {
	case *syntax.TextNode:
		return nil
	case *syntax.ListNode:
		if n == nil {
			return nil
		}
		for _, child := range n.Nodes {
			if err := c.walk(child, s); err != nil {
				return err
			}
		}
		return nil
	case *syntax.ActionNode:
		_, err := c.pipe(n.Pipe, 0, s)
		return err
	case *syntax.IfNode:
		if _, err := c.pipe(n.Pipe, 0, s); err != nil {
			return err
		}
		if err := c.walk(n.List, s); err != nil {
			return err
		}
		return c.walk(n.ElseList, s)
	case *syntax.RangeNode:
		return c.repeat(n, s)
	}
	return fmt.Errorf("%s is not supported", node)
}

func (c *templateChecker) repeat(n *syntax.RangeNode, s typeScope) error {
	items, err := c.pipe(n.Pipe, len(n.Pipe.Decl), s)
	switch {
	case err != nil:
		return err
	case items.Kind() != reflect.Slice:
		return fmt.Errorf("range over %s, which is %v and not a slice", n.Pipe, items)
	case n.ElseList != nil || len(n.Pipe.Decl) == 1:
		return fmt.Errorf("%s: else and one variable are not supported", n)
	}
	inner := typeScope{dot: items.Elem(), vars: map[string]reflect.Type{"$": s.vars["$"]}}
	if len(n.Pipe.Decl) == 2 {
		inner.vars[n.Pipe.Decl[0].Ident[0]], inner.vars[n.Pipe.Decl[1].Ident[0]] = reflect.TypeFor[int](), inner.dot
	}
	return c.walk(n.List, inner)
}

// pipe returns the type of the result of commands, which declare a number of variables.
func (c *templateChecker) pipe(p *syntax.PipeNode, variables int, s typeScope) (result reflect.Type, err error) {
	if len(p.Decl) != variables {
		return nil, fmt.Errorf("%s declares a variable", p)
	}
	for i, command := range p.Cmds {
		function, isCall := command.Args[0].(*syntax.IdentifierNode)
		switch {
		case isCall:
			var args []reflect.Type
			for _, arg := range command.Args[1:] {
				t, err := c.value(arg, s)
				if err != nil {
					return nil, err
				}
				args = append(args, t)
			}
			if i > 0 {
				args = append(args, result)
			}
			result, err = c.call(function.Ident, args, command)
		case i > 0 || len(command.Args) > 1:
			err = fmt.Errorf("%s is not a function", command.Args[0])
		default:
			result, err = c.value(command.Args[0], s)
		}
		if err != nil {
			return nil, err
		}
	}
	return result, nil
}

// call returns the type of the result of a function.
func (c *templateChecker) call(name string, args []reflect.Type, command *syntax.CommandNode) (reflect.Type, error) {
	f := reflect.TypeOf(c.functions[name])
	if n := f.NumIn(); len(args) != n && (!f.IsVariadic() || len(args) < n-1) {
		return nil, fmt.Errorf("%s: %d arguments instead of %d", command, len(args), n)
	}
	for i, arg := range args {
		want := f.In(min(i, f.NumIn()-1))
		if f.IsVariadic() && i >= f.NumIn()-1 {
			want = want.Elem()
		}
		if !arg.AssignableTo(want) {
			return nil, fmt.Errorf("%s: argument %d is %v instead of %v", command, i+1, arg, want)
		}
	}
	if name == "include" {
		file, ok := command.Args[1].(*syntax.StringNode)
		if !ok || c.templates[file.Text] == nil {
			return nil, fmt.Errorf("%s: there is no such template", command)
		}
	}
	return f.Out(0), nil
}

func (c *templateChecker) value(node syntax.Node, s typeScope) (reflect.Type, error) {
	switch n := node.(type) {
	case *syntax.DotNode:
		return s.dot, nil
	case *syntax.FieldNode:
		return fieldType(s.dot, n.Ident)
	case *syntax.VariableNode:
		return fieldType(s.vars[n.Ident[0]], n.Ident[1:])
	case *syntax.StringNode:
		return reflect.TypeFor[string](), nil
	case *syntax.NumberNode:
		if n.IsInt {
			return reflect.TypeFor[int](), nil
		}
	case *syntax.PipeNode:
		return c.pipe(n, 0, s)
	}
	return nil, fmt.Errorf("%s is not supported as a value", node)
}

// fieldType returns the type of the field of a field and so on.
func fieldType(t reflect.Type, names []string) (reflect.Type, error) {
	for _, name := range names {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return nil, fmt.Errorf("%v has no field %s", t, name)
		}
		f, ok := t.FieldByName(name)
		if !ok || !f.IsExported() {
			return nil, fmt.Errorf("%v has no field %s", t, name)
		}
		t = f.Type
	}
	return t, nil
}
