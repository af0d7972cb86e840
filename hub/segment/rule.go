package segment

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// maxRule bounds a rule's length in characters, maxNodes the parts of it.
const (
	maxRule  = 4000
	maxNodes = 1000
)

// RuleError says where a rule is wrong.
type RuleError struct {
	// Line and Column count from 1, the column in characters.
	Line, Column int
	Message      string
	// Suggestion is what was probably meant; empty when there is no guess.
	Suggestion string
}

func (e *RuleError) Error() string {
	text := fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
	if e.Suggestion != "" {
		text += "; did you mean " + e.Suggestion + "?"
	}
	return text
}

// Rule is a checked and compiled rule. It does not change and may be used by many goroutines.
type Rule struct {
	program *vm.Program
	fields  []Field // those the rule names, by name
}

// Fields returns the fields the rule names, by name: what its result depends on.
func (r *Rule) Fields() []Field { return slices.Clone(r.fields) }

// Compile checks a rule: syntax, names, types, the values of fields that have few, and that the result is true or
// false. Errors are *RuleError.
//
// What a rule says about a missing value: a comparison with one is false, also !=, "in" and "contains"; only == nil
// and != nil ask whether there is a value. Arithmetic with a missing value, or by zero, gives a missing value, and a
// missing truth value counts as false.
//
// Amounts of money are 64-bit floats in major units, the one place where money is: the rule language has no decimals.
// They are made by one division of the minor units, so up to 2^52 of these (45 trillion roubles) every amount is the
// very float that its decimal literal is, and no other amount is: comparing a field with a literal is exact.
// Arithmetic in a rule rounds as floats do.
func (l *Language) Compile(rule string) (*Rule, error) {
	if strings.TrimSpace(rule) == "" {
		return nil, &RuleError{Line: 1, Column: 1, Message: "the rule is empty"}
	}
	if n := len([]rune(rule)); n > maxRule {
		return nil, &RuleError{Line: 1, Column: 1, Message: fmt.Sprintf("the rule has %d characters, more than %d", n, maxRule)}
	}
	// Two passes: the first checks against the fields' types; the second compiles with the operators replaced by ones
	// that know missing values, which takes the types away.
	inspect := &inspection{language: l, used: map[string]Field{}}
	if _, err := expr.Compile(rule, options(l.typed, expr.AsBool(), expr.WarnOnAny(), expr.Patch(inspect))...); err != nil {
		return nil, l.explain(err)
	}
	if inspect.problem != nil {
		return nil, l.explain(inspect.problem.Bind(file.NewSource(rule)))
	}
	untyped := types.Map{}
	for name := range l.typed {
		untyped[name] = types.Any
	}
	program, err := expr.Compile(rule, options(untyped, append(missingAware(), expr.Patch(&missingPatch{}))...)...)
	if err != nil {
		return nil, l.explain(err)
	}
	r := &Rule{program: program}
	for _, name := range slices.Sorted(maps.Keys(inspect.used)) {
		r.fields = append(r.fields, inspect.used[name])
	}
	return r, nil
}

func options(environment types.Map, more ...expr.Option) []expr.Option {
	// now() would make the result hang on the moment of evaluation instead of as-of.
	return append([]expr.Option{expr.Env(environment), expr.DisableBuiltin("now"), expr.MaxNodes(maxNodes)}, more...)
}

// explain turns an error of the language into one with a position and a suggestion.
func (l *Language) explain(err error) *RuleError {
	var positioned *file.Error
	if !errors.As(err, &positioned) {
		message := err.Error()
		if got, ok := strings.CutPrefix(message, "expected bool, but got "); ok {
			message = "the rule must be true or false, not a " + plainTypes(got)
		}
		return &RuleError{Line: 1, Column: 1, Message: message}
	}
	// The compiler's own column counts from 0; an end of input may have none.
	problem := &RuleError{Line: max(positioned.Line, 1), Column: positioned.Column + 1, Message: plainTypes(positioned.Message)}
	if name, unknown := strings.CutPrefix(positioned.Message, "unknown name "); unknown {
		problem.Message = fmt.Sprintf("unknown field %q", name)
		problem.Suggestion = closest(name, l.names)
		if name == "now" {
			problem.Suggestion = "days_since_last_order"
		}
	} else if strings.Contains(positioned.Message, "mismatched types") && strings.Contains(positioned.Message, "time.Time") {
		problem.Suggestion = "date('2006-01-31')"
	}
	return problem
}

// goTypes are the names the language gives its types in errors.
var goTypes = regexp.MustCompile(`\[\]string|\[\]interface \{\}|interface \{\}|time\.Time|time\.Duration|\b(?:int|float64|bool|unknown)\b`)

func plainTypes(message string) string {
	return goTypes.ReplaceAllStringFunc(message, func(name string) string {
		switch name {
		case "int", "float64":
			return "number"
		case "bool":
			return "truth value"
		case "time.Time":
			return "date"
		case "time.Duration":
			return "duration"
		case "unknown", "interface {}":
			return "value of no certain type"
		default:
			return "list"
		}
	})
}

// inspection collects the fields a rule names and finds comparisons that can never hold. It runs on the typed tree.
type inspection struct {
	language *Language
	used     map[string]Field
	problem  *file.Error
}

// Visit implements ast.Visitor.
func (v *inspection) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			v.report(n, "$env is not available in rules; name the field itself")
		}
		if field, ok := v.language.fields[n.Value]; ok {
			v.used[field.Name] = field
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "==", "!=":
			v.checkValues(n.Left, n.Right)
			v.checkValues(n.Right, n.Left)
		case "in":
			if list, ok := n.Right.(*ast.ArrayNode); ok {
				v.checkValues(n.Left, list.Nodes...)
			}
		}
	}
}

func (v *inspection) checkValues(node ast.Node, values ...ast.Node) {
	identifier, ok := node.(*ast.IdentifierNode)
	if !ok {
		return
	}
	field := v.language.fields[identifier.Value]
	if field.OneOf == nil {
		return
	}
	for _, value := range values {
		if text, ok := value.(*ast.StringNode); ok && !slices.Contains(field.OneOf, text.Value) {
			message := fmt.Sprintf("%s is never %q; it is one of %s", field.Name, text.Value, strings.Join(field.OneOf, ", "))
			v.report(text, message)
		}
	}
}

func (v *inspection) report(node ast.Node, message string) {
	if v.problem == nil {
		v.problem = &file.Error{Location: node.Location(), Message: message}
	}
}

// closest returns the name with the fewest edits to what was written, if they are few for its length.
func closest(written string, names []string) string {
	best, distance := "", len(written)/3+1
	for _, name := range names {
		if d := edits(strings.ToLower(written), name); d < distance {
			best, distance = name, d
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
