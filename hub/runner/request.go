package runner

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	connectorv1 "github.com/regulars/regulars/contracts/connector/v1"
	"github.com/regulars/regulars/hub/connector"
)

var modes = map[connector.Mode]connectorv1.Mode{
	connector.Full:        connectorv1.Mode_MODE_FULL,
	connector.Incremental: connectorv1.Mode_MODE_INCREMENTAL,
	connector.IDs:         connectorv1.Mode_MODE_IDS,
}

// count brings a number of the hub's onto the wire.
func count(n int) int32 { return int32(max(0, min(n, math.MaxInt32))) }

func access(call connector.Call) *connectorv1.Access {
	return &connectorv1.Access{Secrets: call.Secrets}
}

// timestamp leaves the zero time out.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func protoActions(actions []connector.Action) []*connectorv1.Action {
	out := make([]*connectorv1.Action, len(actions))
	for i, a := range actions {
		member := &connectorv1.Member{
			On: a.On, Tags: a.Tags, ConsentedAt: timestamp(a.ConsentedAt), ConsentSource: a.ConsentSource,
		}
		if len(a.Traits) > 0 {
			member.Traits = make(map[string]*connectorv1.Value, len(a.Traits))
			for id, text := range a.Traits {
				member.Traits[id] = &connectorv1.Value{Kind: &connectorv1.Value_Text{Text: text}}
			}
		}
		out[i] = &connectorv1.Action{
			IdempotencyKey: a.IdempotencyKey, Target: a.Target,
			Person: &connectorv1.Person{
				RemoteKey: a.Person.RemoteKey, Stream: a.Person.Stream, Email: a.Person.Email, Phone: a.Person.Phone,
			},
			Kind: &connectorv1.Action_Member{Member: member},
		}
	}
	return out
}
