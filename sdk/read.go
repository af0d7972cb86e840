package sdk

import (
	"bytes"
	"context"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
)

// Read implements the protocol. The connector's answer may be of any size: what does not fit into a page is kept
// and given out in parts; a fresh process asks for the answer again and leaves out what was given before.
func (s *server) Read(ctx context.Context, req *connectorv1.ReadRequest) (resp *connectorv1.ReadResponse, err error) {
	defer s.finish(ctx, "Read "+req.GetStream(), &err)
	cfg, call, err := s.open(req, req.GetBudget())
	if err != nil {
		return nil, err
	}
	read, in, err := s.reading(req, call)
	if err != nil {
		return nil, err
	}
	cursor, err := decodeWireCursor(req.GetCursor())
	if err != nil {
		return nil, err
	}
	key := keyOf(req, cursor.connector)
	var ans *answer
	if cursor.offset > 0 {
		ans = s.shelf.get(key)
	}
	if ans == nil {
		in.Cursor = cursor.connector
		fresh, err := read(ctx, cfg, in)
		if err != nil {
			return nil, err
		}
		if err := fresh.check(cursor.connector); err != nil {
			return nil, err
		}
		for _, it := range fresh.items {
			if it.skipped != nil {
				s.mask.wire(it.skipped.GetProblem())
			}
		}
		ans = &fresh
	}
	// Another answer than the one the offset belongs to is given out from its start: records may repeat, none is lost (R1).
	if cursor.offset > len(ans.items) || ans.markAt(cursor.offset) != cursor.mark {
		s.log.WarnContext(ctx, "the source answered differently than before; its answer is given out again from the start", "stream", req.GetStream())
		cursor.offset = 0
	}
	end := ans.cut(cursor.offset, in.Max)
	if end < len(ans.items) {
		s.shelf.put(key, ans)
	} else {
		s.shelf.drop(key)
	}
	resp = ans.page(cursor.offset, end, cursor)
	resp.Usage = wireUsage(call.meter.usage())
	return resp, nil
}

// reading finds the function behind a request, and refuses what the spec says the stream cannot do.
func (s *server) reading(req *connectorv1.ReadRequest, call Call) (readFunc, ReadRequest, error) {
	in := ReadRequest{Call: call, Keys: req.GetKeys(), Max: connectorv1.MaxPageRecords}
	in.Currency = req.GetCurrency()
	if n := int(req.GetMaxRecords()); n > 0 {
		in.Max = min(n, connectorv1.MaxPageRecords)
	}
	if req.GetSince() != nil {
		in.Since = req.GetSince().AsTime()
	}
	if req.GetUntil() != nil {
		in.Until = req.GetUntil().AsTime()
	}
	var err error
	if in.Zone, err = zoneFrom(req.GetTimeZone()); err != nil {
		return nil, in, err
	}
	mode, known := modeFrom(req.GetMode())
	in.Mode = mode
	if req.GetStream() == membersStream {
		t, id, err := s.target(req.GetTarget())
		if err != nil {
			return nil, in, err
		}
		if t.members == nil {
			return nil, in, Bug("who is on a target of kind %s cannot be read", t.Kind)
		}
		in.Target = id
		return t.members, in, nil
	}
	for _, stream := range s.connector.Streams {
		if stream.Name != req.GetStream() {
			continue
		}
		switch {
		case len(in.Keys) > 0 && !stream.ByKey:
			return nil, in, Bug("the stream %s cannot be read by key", stream.Name)
		case len(in.Keys) == 0 && (!known || !stream.has(mode)):
			return nil, in, Bug("the stream %s cannot be read in mode %s", stream.Name, req.GetMode())
		case (!in.Since.IsZero() || !in.Until.IsZero()) && !stream.Ranges:
			return nil, in, Bug("the stream %s cannot be read by a range of time", stream.Name)
		}
		return stream.read, in, nil
	}
	return nil, in, Bug("the connector has no stream %s", req.GetStream())
}

// check refuses answers that would make the hub read in a circle or keep a cursor that is too long.
func (a *answer) check(asked []byte) error {
	switch {
	case len(a.next) > connectorv1.MaxCursorBytes:
		return Bug("the connector's cursor takes %d bytes, more than the %d allowed", len(a.next), connectorv1.MaxCursorBytes)
	case !a.more && a.notReady.IsZero():
		return nil
	case len(a.next) == 0:
		return Bug("the connector says that there is more and not where (Next is empty)")
	case a.notReady.IsZero() && bytes.Equal(a.next, asked):
		return Bug("the connector's cursor does not move on although there is more")
	default:
		return nil
	}
}
