package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/plugins/table/internal/csvfile"
	"github.com/regulars/regulars/plugins/table/internal/listfile"
	"github.com/regulars/regulars/sdk"
)

// listTarget describes the mailing lists in the folder of targets.
func listTarget() sdk.Target {
	return sdk.Target{
		Kind: "file", Channel: "email", Identity: "email", OpenTraits: true, Idempotent: true,
		Traits: []sdk.Trait{{ID: listfile.ColumnName, Title: "Name", Type: "text"}},
		Doc:    "A CSV file with the people of a segment; its name is the target's.",
	}
}

func destination() sdk.Destination[config] {
	return sdk.Destination[config]{List: listTargets, Create: createTarget, Members: members, Write: write}
}

func listFolder(cfg config) (listfile.Folder, error) {
	if cfg.Targets == nil {
		return listfile.Folder{}, sdk.InvalidConfig("targets", "is required to write lists; name the folder they go to")
	}
	return listfile.OpenFolder(string(cfg.Targets.Folder)), nil
}

func listTargets(_ context.Context, cfg config, _ sdk.TargetsRequest) (sdk.TargetList, error) {
	folder, err := listFolder(cfg)
	if err != nil {
		return sdk.TargetList{}, err
	}
	ids, err := folder.List()
	if err != nil {
		return sdk.TargetList{}, sdk.InvalidConfig("targets.folder", "the folder cannot be read: %s", reason(err))
	}
	var found sdk.TargetList
	for _, id := range ids {
		target := sdk.RemoteTarget{ID: id, Name: id}
		l, err := folder.Read(id)
		switch {
		case errors.Is(err, listfile.ErrNoList):
			continue // removed in the meantime
		case err != nil:
			target.ReadOnlyReason = listProblem(id, err).Message
		case len(l.Broken) > 0:
			target.ReadOnlyReason = fmt.Sprintf("line %d of the file cannot be read; mend it by hand", l.Broken[0].Line)
		default:
			n := int64(l.Len())
			target.Members = &n
		}
		found.Targets = append(found.Targets, target)
	}
	return found, nil
}

func createTarget(ctx context.Context, cfg config, req sdk.CreateRequest) (sdk.RemoteTarget, error) {
	folder, err := listFolder(cfg)
	if err != nil {
		return sdk.RemoteTarget{}, err
	}
	id, err := listfile.ID(req.Name)
	if err != nil {
		return sdk.RemoteTarget{}, sdk.Rejected("target_name", "%s", err.Error())
	}
	if err := folder.Create(ctx, id); err != nil {
		return sdk.RemoteTarget{}, listProblem(id, err)
	}
	return sdk.RemoteTarget{ID: id, Name: id}, nil
}

// members returns everybody on a list at once: the file is the snapshot, and the SDK cuts it into pages.
func members(_ context.Context, cfg config, req sdk.ReadRequest) (sdk.Page[entity.Member], error) {
	folder, err := listFolder(cfg)
	if err != nil {
		return sdk.Page[entity.Member]{}, err
	}
	l, err := folder.Read(req.Target)
	if err != nil {
		return sdk.Page[entity.Member]{}, listProblem(req.Target, err)
	}
	page := sdk.Page[entity.Member]{Snapshot: hex.EncodeToString(l.Sum()[:16])}
	page.Next = []byte(page.Snapshot)
	for _, e := range l.Entries() {
		at := fmt.Sprintf("%s.csv line %d", req.Target, e.Line)
		if e.Email == "" {
			page.Skipped = append(page.Skipped, sdk.Skipped{
				Problem: sdk.Rejected("email_missing", "the row has no e-mail address, by which members are told").At("%s", at),
			})
			continue
		}
		page.Records = append(page.Records, sdk.Record[entity.Member]{
			Key: e.Email, Place: at,
			Entity: entity.Member{Email: e.Email, Phone: e.Phone, State: entity.MemberState(e.State), Tags: e.Tags},
		})
	}
	for _, broken := range l.Broken {
		page.Skipped = append(page.Skipped, sdk.Skipped{
			Problem: sdk.Rejected(broken.Rule, "%s", broken.Message).At("%s.csv line %d", req.Target, broken.Line),
		})
	}
	if len(page.Skipped) > 0 {
		page.Snapshot = "" // somebody on the list could not be told
	}
	return page, nil
}

// write carries out the actions of a request, with one replacement of each file they are about.
func write(ctx context.Context, cfg config, req sdk.WriteRequest) ([]sdk.Result, error) {
	folder, err := listFolder(cfg)
	if err != nil {
		return nil, err
	}
	results := make([]sdk.Result, len(req.Actions))
	byTarget := map[string][]int{}
	for i, action := range req.Actions {
		byTarget[action.Target] = append(byTarget[action.Target], i)
	}
	for _, target := range sortedKeys(byTarget) {
		err := folder.Update(ctx, target, func(l *listfile.List) bool {
			changed := false
			for _, i := range byTarget[target] {
				results[i] = apply(l, req.Actions[i])
				changed = changed || results[i].State == sdk.StateOK && !results[i].Unchanged
			}
			return changed
		})
		if err == nil {
			continue
		}
		// Nothing of the file was replaced, so no action on it was carried out, whatever it said in memory.
		for _, i := range byTarget[target] {
			results[i] = sdk.Failed(listProblem(target, err))
		}
	}
	return results, nil
}

// apply carries out one action on a list in memory.
func apply(l *listfile.List, action sdk.Action) sdk.Result {
	email := listfile.Normal(action.Person.Email)
	switch {
	case action.Member == nil:
		return sdk.Failed(sdk.Rejected("action_unknown", "a list file only has members"))
	case email == "":
		return sdk.Failed(sdk.Rejected("email_missing", "the person has no e-mail address, by which members are told"))
	case !action.Member.On:
		if !l.Remove(email) {
			return sdk.Unchanged(email)
		}
		return sdk.Done(email)
	}
	m := listfile.Member{Email: email, Phone: action.Person.Phone, Tags: action.Member.Tags, Traits: map[string]string{}}
	for trait, value := range action.Member.Traits {
		m.Traits[trait] = value.String()
	}
	changed, err := l.Put(m)
	switch {
	case errors.Is(err, listfile.ErrUnsubscribed):
		return sdk.Failed(sdk.Rejected("unsubscribed", "%s", err.Error()))
	case err != nil:
		return sdk.Failed(sdk.Rejected("trait_name", "%s", err.Error()))
	case !changed:
		return sdk.Unchanged(email)
	}
	return sdk.Done(email)
}

// listProblem puts an error about a list into the hub's words.
func listProblem(id string, err error) *sdk.Problem {
	var header *csvfile.HeaderError
	var broken *listfile.ErrBroken
	switch {
	case errors.Is(err, listfile.ErrNoList):
		return sdk.Rejected("target_missing", "there is no list %q in the folder of targets; create it first", id)
	case errors.Is(err, listfile.ErrName):
		return sdk.Rejected("target_name", "%s", err.Error())
	case errors.Is(err, listfile.ErrNoEmail):
		return sdk.Rejected("target_header", "%s", err.Error()).At("%s.csv line 1", id)
	case errors.As(err, &header):
		return sdk.Rejected("target_header", "%s", header.Message).At("%s.csv line %d", id, header.Line)
	case errors.As(err, &broken):
		// Somebody may mend the file at any time, so the hub should try again.
		return sdk.Upstream("%s", err.Error()).At("%s.csv line %d", id, broken.Line)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return sdk.Upstream("another program kept the folder of targets locked")
	default:
		return sdk.Upstream("the list %q cannot be written or read: %s", id, reason(err))
	}
}
