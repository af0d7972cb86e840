package listfile

import "strings"

// Spreadsheet programs take a cell that begins with = + - @ for a formula, so a name somebody typed into a form could
// run one on the marketer's machine ("CSV injection"). guard puts an apostrophe before such a text, the programs' own
// sign for "this is text", and unguard takes it away again. Plain numbers, and so phone numbers with their +, are
// harmless and stay as they are for the mailing tools that read the file.

func guard(text string) string {
	if dangerous(text) {
		return "'" + text
	}
	return text
}

func unguard(text string) string {
	if rest, ok := strings.CutPrefix(text, "'"); ok && dangerous(rest) {
		return rest
	}
	return text
}

// dangerous also holds for texts that look guarded already, so that unguard gives back exactly what guard got.
func dangerous(text string) bool {
	text = strings.TrimLeft(text, "'")
	if text == "" || !strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return false
	}
	return !plainNumber(text)
}

func plainNumber(text string) bool {
	digits, points := 0, 0
	for i, c := range []byte(text) {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case (c == '+' || c == '-') && i == 0:
		case (c == '.' || c == ',') && digits > 0:
			points++
		default:
			return false
		}
	}
	return digits > 0 && points <= 1
}
