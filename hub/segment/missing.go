package segment

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm/runtime"
)

// The operators of the rule language fail on missing values (nil). A missingPatch puts functions in their place that
// do not. The functions are named with a $, which no rule can write.

type binaryFunction func(a, b any) any

// comparisons give false when a side is missing.
var comparisons = map[string]binaryFunction{
	"==":         func(a, b any) any { return runtime.Equal(a, b) },
	"!=":         func(a, b any) any { return !runtime.Equal(a, b) },
	"<":          func(a, b any) any { return runtime.Less(a, b) },
	"<=":         func(a, b any) any { return runtime.LessOrEqual(a, b) },
	">":          func(a, b any) any { return runtime.More(a, b) },
	">=":         func(a, b any) any { return runtime.MoreOrEqual(a, b) },
	"in":         func(a, b any) any { return runtime.In(a, b) },
	"contains":   func(a, b any) any { return strings.Contains(a.(string), b.(string)) },
	"startsWith": func(a, b any) any { return strings.HasPrefix(a.(string), b.(string)) },
	"endsWith":   func(a, b any) any { return strings.HasSuffix(a.(string), b.(string)) },
}

// arithmetic gives a missing value when a side is missing.
var arithmetic = map[string]binaryFunction{
	"+":  runtime.Add,
	"-":  runtime.Subtract,
	"*":  runtime.Multiply,
	"/":  divide,
	"%":  modulo,
	"**": func(a, b any) any { return runtime.Exponent(a, b) },
	"^":  func(a, b any) any { return runtime.Exponent(a, b) },
}

func divide(a, b any) any {
	if runtime.ToFloat64(b) == 0 {
		return nil
	}
	return runtime.Divide(a, b)
}

func modulo(a, b any) any {
	if runtime.ToInt(b) == 0 {
		return nil
	}
	return runtime.Modulo(a, b)
}

// missingAware declares the functions.
func missingAware() []expr.Option {
	var options []expr.Option
	declare := func(operator string, apply binaryFunction, ifMissing any, signature any) {
		options = append(options, expr.Function("$"+operator, func(args ...any) (any, error) {
			if args[0] == nil || args[1] == nil {
				return ifMissing, nil
			}
			return apply(args[0], args[1]), nil
		}, signature))
	}
	for operator, apply := range comparisons {
		declare(operator, apply, false, new(func(any, any) bool))
	}
	for operator, apply := range arithmetic {
		declare(operator, apply, nil, new(func(any, any) any))
	}
	// The pattern of "matches" is compiled once where it is a literal; see missingPatch.
	options = append(options, expr.Function("$matches", func(args ...any) (any, error) {
		text, ok := args[0].(string)
		if !ok || args[1] == nil {
			return false, nil
		}
		if pattern, ok := args[1].(*regexp.Regexp); ok {
			return pattern.MatchString(text), nil
		}
		pattern, err := regexp.Compile(args[1].(string))
		if err != nil {
			return nil, fmt.Errorf("the pattern of matches is not a regular expression")
		}
		return pattern.MatchString(text), nil
	}, new(func(any, any) bool)))
	options = append(options, expr.Function("$negate", func(args ...any) (any, error) {
		if args[0] == nil {
			return nil, nil
		}
		return runtime.Negate(args[0]), nil
	}, new(func(any) any)))
	// Methods of dates give months and days of the week, which are no numbers to the operators.
	options = append(options, expr.Function("$plain", func(args ...any) (any, error) {
		switch value := args[0].(type) {
		case time.Month:
			return int(value), nil
		case time.Weekday:
			return int(value), nil
		default:
			return value, nil
		}
	}, new(func(any) any)))
	return options
}

// predicates are the functions whose second argument is a condition on each element.
var predicates = map[string]bool{
	"all": true, "none": true, "any": true, "one": true, "filter": true, "find": true, "findIndex": true,
	"findLast": true, "findLastIndex": true, "count": true,
}

// missingPatch replaces operators and function calls by ones that know missing values. Parts are visited before the
// whole.
type missingPatch struct{ variables int }

// Visit implements ast.Visitor.
func (v *missingPatch) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.UnaryNode:
		switch n.Operator {
		case "not", "!":
			n.Node = orFalse(n.Node)
		case "-":
			ast.Patch(node, call("$negate", n.Node))
		}
	case *ast.BinaryNode:
		v.binary(node, n)
	case *ast.ConditionalNode:
		n.Cond = orFalse(n.Cond)
	case *ast.MemberNode:
		// get() finds nothing where an index beyond the end would fail.
		if _, named := n.Property.(*ast.StringNode); !named && !n.Method {
			get := &ast.BuiltinNode{Name: "get", Arguments: []ast.Node{n.Node, n.Property}}
			ast.Patch(node, get)
			v.function(node, get)
		}
	case *ast.CallNode:
		if method, ok := n.Callee.(*ast.MemberNode); ok {
			v.guard(node, call("$plain", n), []*ast.Node{&method.Node})
		}
	case *ast.BuiltinNode:
		v.function(node, n)
	}
}

func (v *missingPatch) binary(node *ast.Node, n *ast.BinaryNode) {
	switch n.Operator {
	case "and", "&&", "or", "||":
		n.Left, n.Right = orFalse(n.Left), orFalse(n.Right)
	case "==", "!=":
		if isNil(n.Left) || isNil(n.Right) {
			return // asks whether there is a value
		}
		ast.Patch(node, call("$"+n.Operator, n.Left, n.Right))
	case "matches":
		right := n.Right
		if literal, ok := right.(*ast.StringNode); ok {
			if pattern, err := regexp.Compile(literal.Value); err == nil {
				right = &ast.ConstantNode{Value: pattern}
				right.SetType(reflect.TypeFor[*regexp.Regexp]())
			}
		}
		ast.Patch(node, call("$matches", n.Left, right))
	default:
		_, compares := comparisons[n.Operator]
		_, computes := arithmetic[n.Operator]
		if compares || computes {
			ast.Patch(node, call("$"+n.Operator, n.Left, n.Right))
		}
	}
}

// function guards a function against missing arguments.
func (v *missingPatch) function(node *ast.Node, n *ast.BuiltinNode) {
	if predicates[n.Name] {
		if predicate, ok := n.Arguments[1].(*ast.PredicateNode); ok {
			predicate.Node = orFalse(predicate.Node)
		}
	}
	var arguments []*ast.Node
	for i := range n.Arguments {
		if _, isPredicate := n.Arguments[i].(*ast.PredicateNode); !isPredicate {
			arguments = append(arguments, &n.Arguments[i])
		}
	}
	v.guard(node, n, arguments)
}

// guard makes an expression give a missing value when one of its parts is missing: f(x) becomes
// let v = x; v == nil ? nil : f(v).
func (v *missingPatch) guard(node *ast.Node, expression ast.Node, parts []*ast.Node) {
	type variable struct {
		name  string
		value ast.Node
	}
	var variables []variable
	for _, part := range parts {
		switch (*part).(type) {
		case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NilNode:
			continue
		}
		v.variables++
		name := fmt.Sprintf("$%d", v.variables)
		variables = append(variables, variable{name, *part})
		*part = &ast.IdentifierNode{Value: name}
	}
	guarded := expression
	for i := len(variables) - 1; i >= 0; i-- {
		guarded = &ast.VariableDeclaratorNode{
			Name: variables[i].name, Value: variables[i].value,
			Expr: &ast.ConditionalNode{
				Ternary: true,
				Cond:    &ast.BinaryNode{Operator: "==", Left: &ast.IdentifierNode{Value: variables[i].name}, Right: &ast.NilNode{}},
				Exp1:    &ast.NilNode{}, Exp2: guarded,
			},
		}
	}
	if guarded != *node {
		ast.Patch(node, guarded)
	}
}

func call(name string, arguments ...ast.Node) ast.Node {
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: arguments}
}

func orFalse(node ast.Node) ast.Node {
	return &ast.BinaryNode{Operator: "??", Left: node, Right: &ast.BoolNode{}}
}

func isNil(node ast.Node) bool {
	_, ok := node.(*ast.NilNode)
	return ok
}
