package config

import (
	"encoding/json"
	"strconv"
	"strings"
)

// json writes a node as JSON with its keys in the order of the file.
func (n *node) json() json.RawMessage {
	var b strings.Builder
	n.writeJSON(&b)
	return json.RawMessage(b.String())
}

func (n *node) writeJSON(b *strings.Builder) {
	switch n.kind {
	case null:
		b.WriteString("null")
	case boolean:
		b.WriteString(n.text)
	case integer, number:
		b.WriteString(jsonNumber(n.text))
	case text:
		b.WriteString(jsonText(n.text))
	case list:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			item.writeJSON(b)
		}
		b.WriteByte(']')
	case mapping:
		b.WriteByte('{')
		for i, e := range n.entries {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(jsonText(e.key))
			b.WriteByte(':')
			e.value.writeJSON(b)
		}
		b.WriteByte('}')
	}
}

// jsonNumber keeps a number's digits where JSON can carry them; YAML's other forms (0x1F, 1_000, +5) are converted.
func jsonNumber(s string) string {
	if json.Valid([]byte(s)) {
		return s
	}
	plain := strings.TrimPrefix(strings.ReplaceAll(s, "_", ""), "+")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return strconv.FormatInt(i, 10)
	}
	if f, err := strconv.ParseFloat(plain, 64); err == nil {
		if encoded, err := json.Marshal(f); err == nil {
			return string(encoded)
		}
	}
	return jsonText(s)
}

func jsonText(s string) string {
	quoted, _ := json.Marshal(s) // a string cannot fail
	return string(quoted)
}
