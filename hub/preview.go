package hub

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/regulars/regulars/contracts/entity"
	"github.com/regulars/regulars/hub/api"
	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/segment"
	"github.com/regulars/regulars/hub/store"
)

// previewSample is how many members a preview shows when nobody says.
const previewSample = 10

// PreviewSegment implements api.Segments. It looks at everybody as they are now, with ranks and scores of now.
func (h *Hub) PreviewSegment(ctx context.Context, name string, request api.PreviewRequest) (api.SegmentPreview, error) {
	st, err := h.named(name)
	if err != nil {
		return api.SegmentPreview{}, err
	}
	definition, err := st.previewed(request)
	if err != nil {
		return api.SegmentPreview{}, err
	}
	set, err := segment.NewSet(st.language, []segment.Definition{definition})
	if err != nil {
		return api.SegmentPreview{}, fmt.Errorf("%w: %w", api.ErrRefused, err)
	}
	day := h.asOf(st)
	var ledger *kpi.Ledger
	var subjects []segment.Subject
	var members map[string]map[customer.ID]int64
	err = h.store.InView(ctx, func(tx store.Tx) (err error) {
		if ledger, _, _, err = h.bringUp(ctx, tx, st); err != nil {
			return err
		}
		customers, err := h.store.Customers(ctx, tx, st.ws.ID)
		if err != nil {
			return err
		}
		if subjects, err = h.subjects(ctx, tx, st, set, customers); err != nil {
			return err
		}
		members, err = h.store.MembersNet(ctx, tx, st.ws.ID, nil)
		return err
	})
	if err != nil {
		return api.SegmentPreview{}, err
	}
	facts, err := factsOf(ledger, st, day)
	if err != nil {
		return api.SegmentPreview{}, err
	}
	memberships, err := set.Evaluate(ctx, facts, each(subjects))
	if err != nil {
		return api.SegmentPreview{}, err
	}
	found := memberships[0]
	if found.Err != nil {
		return api.SegmentPreview{}, fmt.Errorf("%w: %w", api.ErrRefused, found.Err)
	}
	preview := api.SegmentPreview{
		Segment: request.Segment, Rule: definition.Rule, AsOf: day.String(), Size: len(found.Members), Customers: len(subjects),
		NetValue: entity.FormatMinor(netOf(facts, found.Members), st.ws.Currency), Overlap: overlaps(st, members, request.Segment, found.Members), Sample: []api.SampleMember{},
	}
	if request.Segment != "" {
		diff := segment.Compare(customersOf(members[request.Segment]), found.Members)
		enter, leave := len(diff.Entered), len(diff.Left)
		preview.Enter, preview.Leave = &enter, &leave
	}
	sample := spread(found.Members, cmp.Or(request.Sample, previewSample))
	keys, err := h.store.MemberKeys(ctx, st.ws.ID, sample)
	if err != nil {
		return api.SegmentPreview{}, err
	}
	for _, id := range sample {
		subject := subjectOf(subjects, id)
		preview.Sample = append(preview.Sample, api.SampleMember{Customer: id, Name: subject.Name, Keys: keys[id], Fields: set.Seen(definition.ID, facts, subject)})
	}
	return preview, nil
}

// previewed is the segment that a preview is of.
func (st *state) previewed(request api.PreviewRequest) (segment.Definition, error) {
	if request.Segment == "" {
		return segment.Definition{ID: "preview", Rule: request.Rule}, nil
	}
	for _, d := range st.set.Definitions() {
		if d.ID == request.Segment {
			return d, nil
		}
	}
	return segment.Definition{}, fmt.Errorf("segment %q: %w", request.Segment, api.ErrNotFound)
}

func netOf(facts *kpi.Facts, members []customer.ID) int64 {
	var net int64
	for _, id := range members {
		if fact := facts.Of(id); fact != nil {
			net += fact.Net
		}
	}
	return net
}

// overlaps counts the members that other segments hold too.
func overlaps(st *state, stored map[string]map[customer.ID]int64, itself string, members []customer.ID) []api.SegmentOverlap {
	all := []api.SegmentOverlap{}
	for _, d := range st.set.Definitions() {
		both := 0
		for _, id := range members {
			if _, member := stored[d.ID][id]; member {
				both++
			}
		}
		if both > 0 && d.ID != itself {
			all = append(all, api.SegmentOverlap{Segment: d.ID, Both: both, Size: len(stored[d.ID])})
		}
	}
	slices.SortStableFunc(all, func(a, b api.SegmentOverlap) int { return cmp.Compare(b.Both, a.Both) })
	return all
}

func customersOf(members map[customer.ID]int64) []customer.ID {
	ids := make([]customer.ID, 0, len(members))
	for id := range members {
		ids = append(ids, id)
	}
	return ids
}

// spread picks some of a list, evenly over its length.
func spread(all []customer.ID, n int) []customer.ID {
	if len(all) <= n {
		return all
	}
	some := make([]customer.ID, 0, n)
	for i := range n {
		some = append(some, all[i*len(all)/n])
	}
	return some
}

// subjectOf finds a customer among subjects, which are ascending by number; nil when they are not there.
func subjectOf(subjects []segment.Subject, id customer.ID) *segment.Subject {
	i, found := slices.BinarySearchFunc(subjects, id, func(s segment.Subject, id customer.ID) int { return cmp.Compare(s.ID, id) })
	if !found {
		return nil
	}
	return &subjects[i]
}
