package identity_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/identity"
)

func TestEmail(t *testing.T) {
	for in, want := range map[string]string{
		"ann@shop.example":                     "ann@shop.example",
		"  Ann.Lee+News@Shop.EXAMPLE\r\n":      "ann.lee+news@shop.example",
		"\ufeffann@shop.example\u200b\u00a0":   "ann@shop.example",
		"o'neil_1/x@mail.shop.example":         "o'neil_1/x@mail.shop.example",
		"info@Почта.РФ":                        "info@xn--80a1acny.xn--p1ai",
		"info@xn--80a1acny.xn--p1ai":           "info@xn--80a1acny.xn--p1ai",
		"a@straße.example":                     "a@xn--strae-oqa.example",
		"a@123.example":                        "a@123.example",
		strings.Repeat("a", 64) + "@b.example": strings.Repeat("a", 64) + "@b.example",

		"":                                     "",
		"нет":                                  "",
		"-":                                    "",
		"ann":                                  "",
		"@shop.example":                        "",
		"ann@":                                 "",
		"ann@shop":                             "",
		"ann@shop.":                            "",
		"ann@.example":                         "",
		"ann@shop..example":                    "",
		"ann@shop.e":                           "",
		"ann@127.0.0.1":                        "",
		"ann@[127.0.0.1]":                      "",
		"ann@-shop.example":                    "",
		"ann@shop_x.example":                   "",
		"ann@@shop.example":                    "",
		"a@b.example,c@d.example":              "",
		"ann lee@shop.example":                 "",
		"ann@shop .example":                    "",
		"<ann@shop.example>":                   "",
		`"ann"@shop.example`:                   "",
		".ann@shop.example":                    "",
		"ann.@shop.example":                    "",
		"a..n@shop.example":                    "",
		"аnn@shop.example":                     "", // the first letter is Cyrillic
		"ann@shop.\xa0":                        "",
		"an\u200bn@shop.example":               "",
		strings.Repeat("a", 65) + "@b.example": "",
		"a@" + strings.Repeat("b", 64) + ".example":                           "",
		"a@" + strings.Repeat("bcdefgh.", 32) + "example":                     "",
		strings.Repeat("a", 64) + "@" + strings.Repeat("bcdefgh.", 24) + "ex": "",
	} {
		got, ok := identity.Email(in)
		assert.Equal(t, want, got, "%q", in)
		assert.Equal(t, want != "", ok, "%q", in)
	}
}

func TestPhone(t *testing.T) {
	for _, test := range []struct{ in, region, want string }{
		{"+7 (912) 345-67-89", "", "+79123456789"},
		{"8 (912) 345-67-89", "RU", "+79123456789"},
		{"8 (912) 345-67-89", "ru", "+79123456789"},
		{"79123456789", "RU", "+79123456789"},
		{"9123456789", "RU", "+79123456789"},
		{"тел. 8 912 345 67 89", "RU", "+79123456789"},
		{"8 912 345 67 89 доб. 123", "RU", "+79123456789"},
		{"+7 495 123-45-67 ext. 9", "RU", "+74951234567"},
		{"\u00a0+7 912 345 67 89\u202c", "RU", "+79123456789"},
		{"8 701 234 56 78", "KZ", "+77012345678"},
		{"(202) 456-1111", "US", "+12024561111"},
		{"+39 06 698 83712", "RU", "+390669883712"},

		{"", "RU", ""},
		{"нет", "RU", ""},
		{"0", "RU", ""},
		{"12345", "RU", ""},
		{"+7 912 345 67", "RU", ""},
		{"+7 000 000-00-00", "RU", ""},
		{"+999 912 345 67 89", "RU", ""},
		{"8 (912) 345-67-89", "", ""},
		{"8 (912) 345-67-89", "XX", ""},
		{"89123456789 89123456780", "RU", ""},
	} {
		got, ok := identity.Phone(test.in, test.region)
		assert.Equal(t, test.want, got, "%q in %q", test.in, test.region)
		assert.Equal(t, test.want != "", ok, "%q in %q", test.in, test.region)
	}
}

func TestGlob(t *testing.T) {
	for _, test := range []struct {
		pattern, value string
		want           bool
	}{
		{"info@*", "info@shop.example", true},
		{" Info@* ", "info@shop.example", true},
		{"info@*", "xinfo@shop.example", false},
		{"*@shop.example", "a/b@shop.example", true},
		{"*@shop.example", "a@shopxexample", false},
		{"info@почта.рф", "info@xn--80a1acny.xn--p1ai", true},
		{"shop?@*", "shop1@shop.example", true},
		{"shop?@*", "shop@shop.example", false},
		{"+7800*", "+78001234567", true},
		{"+7800*", "+79001234567", false},
	} {
		g, err := identity.ParseGlob(test.pattern)
		require.NoError(t, err)
		assert.Equal(t, test.want, g.Match(test.value), "%s against %s", test.pattern, test.value)
	}
	for _, pattern := range []string{"", "  ", "info@*.рф"} {
		_, err := identity.ParseGlob(pattern)
		assert.Error(t, err, pattern)
	}
	assert.False(t, identity.Glob{}.Match(""))

	var g identity.Glob
	require.NoError(t, g.UnmarshalText([]byte("Info@*")))
	assert.True(t, g.Match("info@shop.example"))
	text, err := g.MarshalText()
	require.NoError(t, err)
	assert.Equal(t, "Info@*", string(text))
	assert.Error(t, g.UnmarshalText(nil))
}

func FuzzEmail(f *testing.F) {
	for _, seed := range []string{"ann@shop.example", "Ann@Почта.РФ", "a@xn--strae-oqa.example", "@", "a@b@c", "a@İ.example", "a@１２３.ｃｏｍ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		normal, ok := identity.Email(in)
		if !ok {
			require.Empty(t, normal)
			return
		}
		again, ok := identity.Email(normal)
		require.True(t, ok, "the normal form %q of %q is no address", normal, in)
		require.Equal(t, normal, again)
		require.Equal(t, 1, strings.Count(normal, "@"))
		require.LessOrEqual(t, len(normal), 254)
		for _, c := range []byte(normal) {
			require.True(t, c > ' ' && c < 0x7f, "%q", normal)
		}
	})
}

func FuzzPhone(f *testing.F) {
	for _, seed := range []string{"+7 (912) 345-67-89", "8 912 345 67 89 доб. 1", "tel:+1-202-456-1111;ext=5", "1-800-FLOWERS", "+", "００７", ";phone-context=+7"} {
		f.Add(seed, "RU")
		f.Add(seed, "US")
	}
	f.Fuzz(func(t *testing.T, in, region string) {
		normal, ok := identity.Phone(in, region)
		if !ok {
			require.Empty(t, normal)
			return
		}
		require.Regexp(t, `^\+[1-9][0-9]{3,16}$`, normal)
		again, ok := identity.Phone(normal, "")
		require.True(t, ok, "the normal form %q of %q in %q is no number", normal, in, region)
		require.Equal(t, normal, again)
	})
}
