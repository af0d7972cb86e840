package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/run"
)

// An integrator sees what changed rules would do before the hub takes them up, and which addresses are nobody's own.
func TestRulesArePreviewedAndJunkIsFound(t *testing.T) {
	var people strings.Builder
	people.WriteString("id,name,email,phone\n")
	surnames := []string{"Иванов", "Петрова", "Сидоренко", "Ким", "Ли", "Орлов", "Гаврилова", "Жуков", "Белый", "Чен", "Дуров", "Щукин"}
	firsts := []string{"Иван", "Ольга", "Степан", "Руслан", "Вера", "Глеб", "Зоя", "Фёдор", "Юлия", "Марк", "Лев", "Тимур"}
	for i := range surnames {
		fmt.Fprintf(&people, "%d,%s %s,p%d@mail.test,+78005553535\n", i, surnames[i], firsts[i], i)
	}
	people.WriteString("a,Анна Котова,kotova@mail.test,\nb,Анна Котова,kotova@mail.test,\n")
	files := copyFiles(shopFiles)
	files["files/customers.csv"] = people.String()
	workspace := strings.Replace(shopWorkspace, "identity: {match: [email, phone], strong: [shop.contacts]}", "identity: {match: [email, phone]}", 1)
	s := newSite(t, workspace, files)
	h, stop := s.openHub(t)
	sync(t, h, run.Incremental)
	before := export(t, h)

	junk, err := h.JunkIdentifiers(t.Context(), "", 3)
	require.NoError(t, err)
	require.Len(t, junk, 1)
	assert.Equal(t, api.JunkIdentifier{Kind: "phone", Value: "+78005553535", Reason: "frequency", Records: 12, Names: 12, Customers: 12}, junk[0])

	p, err := h.PreviewIdentity(t.Context(), "", api.IdentityRules{Match: []string{"phone"}})
	require.NoError(t, err)
	assert.Equal(t, 1, p.Splits)
	assert.Equal(t, 2, p.Parted)
	assert.Equal(t, p.Before+1, p.After)
	assert.Equal(t, [][]string{{"shop.contacts/a", "shop.contacts/b"}}, p.Divided)
	p, err = h.PreviewIdentity(t.Context(), "", api.IdentityRules{})
	require.NoError(t, err)
	assert.Zero(t, p.Merges+p.Splits, "the rules in force")
	for _, wrong := range []api.IdentityRules{{Match: []string{"name"}}, {NeverMatch: []string{""}}, {Branches: "maybe"}, {Strong: []string{"nowhere.contacts"}}} {
		_, err = h.PreviewIdentity(t.Context(), "", wrong)
		require.ErrorIs(t, err, api.ErrRefused, "%+v", wrong)
	}
	assert.Equal(t, before, export(t, h), "nothing was changed")
	stop()

	// The same from the command line.
	s.write(t, "changed.yaml", strings.Replace(workspace, "match: [email, phone]", `never_match: ["kotova@*"]`, 1))
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "regulars"), "--config", s.path("hub.yaml"), "identity", "preview", "--with", s.path("changed.yaml")).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "splits          1, into 2 customers")
	assert.Contains(t, string(out), "shop.contacts/a  shop.contacts/b")
	out, err = exec.CommandContext(t.Context(), filepath.Join(bin, "regulars"), "--config", s.path("hub.yaml"), "identity", "junk").CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), `never_match: ["+78005553535"]`)
}
