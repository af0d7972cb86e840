package identity

// Kinds of Russian tax numbers. A KPP is that of a tax office and a reason, not of a company: many have the same.
const (
	innKind = "inn"
	kppKind = "kpp"
)

// placeholderINN says that a tax number was typed to fill a field.
func placeholderINN(s string) bool {
	return len(s) < 5 || sameLetter(s) || s == "1234567890" || s == "123456789012"
}

// ValidINN says that s is a Russian taxpayer number with the right check digits: 10 digits of a company, 12 of a person.
func ValidINN(s string) bool {
	if len(s) != 10 && len(s) != 12 {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	weights := []int{3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8}
	for at := len(s) - 1; at >= max(9, len(s)-2); at-- {
		sum := 0
		for i := range at {
			sum += weights[len(weights)-at+i] * int(s[i]-'0')
		}
		if sum%11%10 != int(s[at]-'0') {
			return false
		}
	}
	return s != "0000000000" && s != "000000000000"
}
