package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/regulars/regulars/hub/api"
)

// identityCommands are the commands about who is one person.
type identityCommands struct {
	Preview identityPreviewCommand `cmd:"" help:"Tell what changed rules of identity would make of the customers, before they apply."`
	Junk    identityJunkCommand    `cmd:"" help:"Propose addresses and numbers that should join nobody."`
}

type identityPreviewCommand struct {
	With string `required:"" type:"existingfile" placeholder:"FILE" help:"Workspace file with the changed rules; only its key identity counts."`
}

// Run implements the command.
func (p identityPreviewCommand) Run(a *app) error {
	rules, err := identityRules(p.With)
	if err != nil {
		return err
	}
	return show(a, http.MethodPost, a.at("identity", "preview"), rules, func(preview api.IdentityPreview) error {
		if err := a.pairs([][2]string{
			{"customers now", number(preview.Before)},
			{"customers then", number(preview.After)},
			{"merges", fmt.Sprintf("%d, of %d customers", preview.Merges, preview.Merged)},
			{"splits", fmt.Sprintf("%d, into %d customers", preview.Splits, preview.Parted)},
		}); err != nil {
			return err
		}
		for _, list := range []struct {
			head    string
			samples [][]string
		}{{"WOULD BE ONE", preview.Joined}, {"WOULD BE APART", preview.Divided}} {
			if len(list.samples) == 0 {
				continue
			}
			var rows [][]string
			for _, records := range list.samples {
				rows = append(rows, []string{strings.Join(records, "  ")})
			}
			if err := a.printf("\n"); err != nil {
				return err
			}
			if err := a.table([]string{list.head}, rows); err != nil {
				return err
			}
		}
		return nil
	})
}

// identityRules reads the key identity of a workspace file.
func identityRules(path string) (api.IdentityRules, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return api.IdentityRules{}, err
	}
	var file struct {
		Identity *api.IdentityRules `yaml:"identity"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return api.IdentityRules{}, usageError{fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, false))}
	}
	if file.Identity == nil {
		return api.IdentityRules{}, usageError{fmt.Errorf("%s has no key identity", path)}
	}
	return *file.Identity, nil
}

type identityJunkCommand struct {
	Least int `help:"Only those on at least so many records." default:"3"`
}

// Run implements the command.
func (j identityJunkCommand) Run(a *app) error {
	path := query(a.at("identity", "junk"), "least", strconv.Itoa(j.Least))
	return show(a, http.MethodGet, path, nil, func(all []api.JunkIdentifier) error {
		var rows [][]string
		var patterns []string
		for _, one := range all {
			state := ""
			if one.Ignored {
				state = "joins nothing already"
			} else {
				patterns = append(patterns, strconv.Quote(one.Value))
			}
			rows = append(rows, []string{one.Value, one.Reason, number(one.Records), number(one.Names), number(one.Customers), state})
		}
		if err := a.table([]string{"IDENTIFIER", "REASON", "RECORDS", "NAMES", "CUSTOMERS", ""}, rows); err != nil || len(patterns) == 0 {
			return err
		}
		return a.printf("\nIn the workspace file, if they are nobody's own:\nidentity: {never_match: [%s]}\n", strings.Join(patterns, ", "))
	})
}
