package listfile_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/regulars/regulars/plugins/table/internal/csvfile"
	"github.com/regulars/regulars/plugins/table/internal/listfile"
)

func parse(t require.TestingT, content string) *listfile.List {
	l, err := listfile.Read(strings.NewReader(content))
	require.NoError(t, err)
	return l
}

func text(t require.TestingT, l *listfile.List) string {
	var b bytes.Buffer
	require.NoError(t, l.Write(&b))
	return b.String()
}

func TestPut(t *testing.T) {
	anna := listfile.Member{Email: "Anna@Example.com ", Phone: "+79990000001", Traits: map[string]string{"Name": "Anna"}}
	for _, test := range []struct {
		name, before string
		member       listfile.Member
		after        string // empty: nothing changes
	}{
		{
			"new, sorted by address", "email,phone,name\nbob@example.com,,Bob\n", anna,
			"email,phone,name\nanna@example.com,+79990000001,Anna\nbob@example.com,,Bob\n",
		},
		{"the same again", "email,phone,name\nanna@example.com,+79990000001,Anna\n", anna, ""},
		{
			"another case of the address", "email,phone,name\nANNA@example.com,+79990000001,Anna\n", anna,
			"email,phone,name\nanna@example.com,+79990000001,Anna\n",
		},
		{
			"columns and rows of others stay", "note,Email,phone,name\n=1+1,bob@example.com,,\nVIP,anna@example.com,,Anya\n", anna,
			"note,Email,phone,name\nVIP,anna@example.com,+79990000001,Anna\n=1+1,bob@example.com,,\n",
		},
		{
			"new traits get columns in one order", "email,phone,name,m\na@example.com,,,1\n",
			listfile.Member{Email: "a@example.com", Traits: map[string]string{"z": "3", "b": "2", "m": "1", "none": ""}},
			"email,phone,name,b,m,z\na@example.com,,,2,1,3\n",
		},
		{
			"tags join those there are", "email,tags\na@example.com,\"vip, sleepy\"\n",
			listfile.Member{Email: "a@example.com", Tags: []string{"win-back", "vip"}},
			"email,tags\na@example.com,\"sleepy, vip, win-back\"\n",
		},
		{
			"repeated rows become one", "email,phone\na@example.com,1\nb@example.com,\nA@example.com,2\n",
			listfile.Member{Email: "a@example.com"},
			"email,phone\na@example.com,1\nb@example.com,\n",
		},
		{
			"delimiter, line ends and byte order mark stay", "\ufeffemail;name\r\n\"b;@example.com\";\"x, y\"\r\n",
			listfile.Member{Email: "a@example.com", Traits: map[string]string{"name": "Line\r\nend"}},
			"\ufeffemail;name\r\na@example.com;Line end\r\n\"b;@example.com\";x, y\r\n",
		},
		{
			"formulas are made text, phones are not", "email,phone,name\n",
			listfile.Member{Email: "a@example.com", Phone: "+79990000001", Traits: map[string]string{"name": "=HYPERLINK(1)", "discount": "-12.5"}},
			"email,phone,name,discount\na@example.com,+79990000001,'=HYPERLINK(1),-12.5\n",
		},
		{
			"rows without an address come last", "email,name\n,Somebody\n,Anybody\nb@example.com,\n",
			listfile.Member{Email: "c@example.com"},
			"email,name\nb@example.com,\nc@example.com,\n,Somebody\n,Anybody\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := parse(t, test.before)
			changed, err := l.Put(test.member)
			require.NoError(t, err)
			assert.Equal(t, test.after != "", changed)
			if test.after != "" {
				assert.Equal(t, test.after, text(t, l))
			}
			changed, err = l.Put(test.member)
			require.NoError(t, err)
			assert.False(t, changed, "a repeat changes nothing")
		})
	}
}

func TestReservedTraits(t *testing.T) {
	for _, trait := range []string{"email", "Phone", "TAGS", " state ", ""} {
		l := listfile.New()
		_, err := l.Put(listfile.Member{Email: "a@example.com", Traits: map[string]string{trait: "x"}})
		require.ErrorIs(t, err, listfile.ErrReserved)
		assert.Zero(t, l.Len())
	}
}

// TestRefusalsStay keeps R4: what the list itself says of somebody who refused is neither undone nor forgotten.
func TestRefusalsStay(t *testing.T) {
	before := "email,state\na@example.com,unsubscribed\nb@example.com,bounced\nc@example.com,complained\nd@example.com,left\ne@example.com,Subscribed\nf@example.com,\n"
	l := parse(t, before)
	var states []string
	for _, e := range l.Entries() {
		states = append(states, e.State)
	}
	assert.Equal(t, []string{"unsubscribed", "bounced", "complained", "unsubscribed", "subscribed", "subscribed"}, states)
	for _, email := range []string{"a@example.com", "b@example.com", "c@example.com", "d@example.com"} {
		_, err := l.Put(listfile.Member{Email: email})
		require.ErrorIs(t, err, listfile.ErrUnsubscribed)
		assert.False(t, l.Remove(email))
	}
	assert.Equal(t, before, text(t, l))
	assert.True(t, l.Remove("E@example.com"))
	assert.True(t, l.Remove("f@example.com"))
	assert.False(t, l.Remove("f@example.com"))
	assert.False(t, l.Remove("nobody@example.com"))
	assert.Equal(t, 4, l.Len())
}

// TestOneRefusalCounts: an address that stands on the list twice is on it only if no row refuses.
func TestOneRefusalCounts(t *testing.T) {
	l := parse(t, "email,state\na@example.com,\nA@example.com,unsubscribed\n")
	require.Len(t, l.Entries(), 1)
	assert.Equal(t, listfile.Unsubscribed, l.Entries()[0].State)
}

func TestNoList(t *testing.T) {
	_, err := listfile.Read(strings.NewReader("mail,name\n"))
	require.ErrorIs(t, err, listfile.ErrNoEmail)
	_, err = listfile.Read(strings.NewReader(""))
	var header *csvfile.HeaderError
	require.ErrorAs(t, err, &header)
}

// TestGuardedTextsReadBack: whatever a tag holds, it reads back as it was put.
func TestGuardedTextsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tag := rapid.StringMatching(`['=+\-@]{0,3}[a-z0-9 .]{0,4}[a-z0-9]`).Draw(t, "tag")
		phone := rapid.SampledFrom([]string{"", "+79990000001", "+1"}).Draw(t, "phone")
		l := listfile.New()
		_, err := l.Put(listfile.Member{Email: "a@example.com", Phone: phone, Tags: []string{tag}})
		require.NoError(t, err)
		written := text(t, l)
		e := parse(t, written).Entries()[0]
		require.Equal(t, phone, e.Phone)
		require.Equal(t, []string{strings.TrimSpace(tag)}, e.Tags)
		for line := range strings.Lines(written) {
			for cell := range strings.SplitSeq(strings.TrimSpace(line), ",") {
				if strings.ContainsAny(cell[:min(1, len(cell))], "=@") {
					t.Fatalf("the cell %q begins a formula", cell)
				}
			}
		}
	})
}

// TestModel: any sequence of puts and removals, written and read in between at any place, gives the file that the
// members there are in the end give in one go.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model := map[string]listfile.Member{}
		l := listfile.New()
		steps := rapid.IntRange(1, 30).Draw(t, "steps")
		for range steps {
			email := fmt.Sprintf("%c@example.com", rapid.RuneFrom([]rune("abcdef")).Draw(t, "who"))
			if rapid.Bool().Draw(t, "on") {
				m := listfile.Member{Email: email, Traits: map[string]string{
					"name": rapid.SampledFrom([]string{"x", "y", "=z"}).Draw(t, "name"), "city": "T", "age": "3",
				}}
				before, was := model[email]
				changed, err := l.Put(m)
				require.NoError(t, err)
				require.Equal(t, !was || !maps.Equal(before.Traits, m.Traits), changed)
				model[email] = m
			} else {
				_, was := model[email]
				require.Equal(t, was, l.Remove(email))
				delete(model, email)
			}
			if rapid.Bool().Draw(t, "reread") {
				l = parse(t, text(t, l))
			}
		}
		var emails []string
		for _, e := range parse(t, text(t, l)).Entries() {
			emails = append(emails, e.Email)
		}
		require.ElementsMatch(t, slices.Collect(maps.Keys(model)), emails)
		if len(model) == 0 {
			return
		}
		once := listfile.New()
		for _, m := range model {
			_, err := once.Put(m)
			require.NoError(t, err)
		}
		require.Equal(t, text(t, once), text(t, l))
	})
}
