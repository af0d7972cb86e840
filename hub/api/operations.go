package api

import (
	"context"
	"net/http"

	"github.com/regulars/regulars/hub/customer"
	"github.com/regulars/regulars/hub/kpi"
	"github.com/regulars/regulars/hub/run"
)

// InWorkspace begins every path that is about one workspace. Types that are embedded must be exported: huma passes over
// the fields of others.
type InWorkspace struct {
	Workspace string `path:"workspace" doc:"The workspace's name; - for the only one there is."`
}

// name is the workspace as the service wants it.
func (w InWorkspace) name() string {
	if w.Workspace == OnlyWorkspace {
		return ""
	}
	return w.Workspace
}

const workspacePath = "/workspaces/{workspace}"

// Limited asks for the newest rows of a long list.
type Limited struct {
	InWorkspace
	Limit int `query:"limit" minimum:"1" maximum:"100000" default:"50" doc:"How many at most, newest first."`
}

// SyncRequest says what to read.
type SyncRequest struct {
	Connections []string `json:"connections,omitempty" doc:"Connections, or connection.stream; all when empty."`
	Full        bool     `json:"full,omitempty" doc:"Read everything again instead of going on from the cursor."`
}

func (r *router) syncing() {
	type one struct {
		InWorkspace
		ID run.ID `path:"id"`
	}
	type request struct {
		InWorkspace
		Body SyncRequest
	}
	operate(r, http.MethodPost, workspacePath+"/sync", "sync", "Request runs", func(ctx context.Context, in *request) ([]Run, error) {
		mode := run.Incremental
		if in.Body.Full {
			mode = run.Full
		}
		return list(r.service.Sync(ctx, in.name(), in.Body.Connections, mode))
	})
	operate(r, http.MethodGet, workspacePath+"/runs", "list-runs", "List runs, newest first", func(ctx context.Context, in *Limited) ([]Run, error) {
		return list(r.service.Runs(ctx, in.name(), in.Limit))
	})
	operate(r, http.MethodGet, workspacePath+"/runs/{id}", "get-run", "Show a run", func(ctx context.Context, in *one) (Run, error) {
		return r.service.GetRun(ctx, in.name(), in.ID)
	})
	operate(r, http.MethodPost, workspacePath+"/runs/{id}/cancel", "cancel-run", "Stop a run", func(ctx context.Context, in *one) (Run, error) {
		return r.service.CancelRun(ctx, in.name(), in.ID)
	})
	operate(r, http.MethodGet, workspacePath+"/standing", "get-standing", "Tell how far processing has come", func(ctx context.Context, in *InWorkspace) (Standing, error) {
		return r.service.Standing(ctx, in.name())
	})
}

// RetryRequest says which dead letters to take in again.
type RetryRequest struct {
	IDs []int64 `json:"ids,omitempty" doc:"Numbers of letters; all open ones when empty."`
}

// Dropped confirms that a dead letter was given up.
type Dropped struct {
	ID int64 `json:"id"`
}

func (r *router) deadLetters() {
	type one struct {
		InWorkspace
		ID int64 `path:"id"`
	}
	type some struct {
		Limited
		State string `query:"state" enum:"open,retrying,resolved,dropped" doc:"Those nobody has dealt with, open and retrying, when empty."`
	}
	type request struct {
		InWorkspace
		Body RetryRequest
	}
	operate(r, http.MethodGet, workspacePath+"/deadletters", "list-dead-letters", "List dead letters, newest first", func(ctx context.Context, in *some) ([]DeadLetter, error) {
		return list(r.service.DeadLetters(ctx, in.name(), in.State, in.Limit))
	})
	operate(r, http.MethodGet, workspacePath+"/deadletters/{id}", "get-dead-letter", "Show a dead letter with its record", func(ctx context.Context, in *one) (DeadLetter, error) {
		return r.service.DeadLetter(ctx, in.name(), in.ID)
	})
	operate(r, http.MethodPost, workspacePath+"/deadletters/retry", "retry-dead-letters", "Take dead letters in again", func(ctx context.Context, in *request) (RetryReply, error) {
		reply, err := r.service.RetryDeadLetters(ctx, in.name(), in.Body.IDs)
		reply.Rereads, err = list(reply.Rereads, err)
		return reply, err
	})
	operate(r, http.MethodPost, workspacePath+"/deadletters/{id}/drop", "drop-dead-letter", "Give a dead letter up", func(ctx context.Context, in *one) (Dropped, error) {
		return Dropped{in.ID}, r.service.DropDeadLetter(ctx, in.name(), in.ID)
	})
}

// FiguresRequest is the part of a path's query that figures take.
type FiguresRequest struct {
	InWorkspace
	AsOf   string `query:"as_of" doc:"Day after whose close the figures are taken, 2006-01-02; default today or the pinned business date."`
	From   string `query:"from" doc:"First day of the period."`
	To     string `query:"to" doc:"Last day of the period."`
	Period string `query:"period" doc:"1997, 1997-Q4 or 1997-11; instead of from and to."`
	Window int    `query:"window" minimum:"0" doc:"Days after the last order during which a customer is active."`
}

func (f FiguresRequest) request() kpi.Request {
	return kpi.Request{AsOf: f.AsOf, From: f.From, To: f.To, Period: f.Period, Window: f.Window}
}

func (r *router) figures() {
	type dimension struct {
		FiguresRequest
		By kpi.Dimension `path:"by" enum:"connection,channel,manager,city,segment"`
	}
	type history struct {
		InWorkspace
		ID     string `path:"id" doc:"Id of a figure."`
		AsOf   string `query:"as_of" doc:"Day in the last month, after whose close that one is taken; default today or the pinned business date."`
		Months int    `query:"months" minimum:"1" maximum:"120" default:"12"`
		Window int    `query:"window" minimum:"0" doc:"Days after the last order during which a customer is active."`
	}
	type scores struct {
		FiguresRequest
		Method string `query:"method" enum:"share,ntile,fixed" doc:"How scores are given; the workspace's method when empty."`
	}
	type cohorts struct {
		InWorkspace
		Kind kpi.CohortKind `query:"kind" enum:"classic,unbounded,cumulative,ltv" default:"classic"`
		AsOf string         `query:"as_of" doc:"Day after whose close the cohorts are taken; default today or the pinned business date."`
	}
	operate(r, http.MethodGet, workspacePath+"/kpis/by/{by}", "get-kpis-by", "Compute the figures by a dimension", func(ctx context.Context, in *dimension) (kpi.Sliced, error) {
		return r.service.KPIsBy(ctx, in.name(), in.By, in.request())
	})
	operate(r, http.MethodGet, workspacePath+"/kpis/history/{id}", "get-kpi-history", "Compute a figure for several months", func(ctx context.Context, in *history) ([]kpi.Point, error) {
		return list(r.service.KPIHistory(ctx, in.name(), in.ID, in.Months, kpi.Request{AsOf: in.AsOf, Window: in.Window}))
	})
	operate(r, http.MethodGet, workspacePath+"/cohorts", "get-cohorts", "Follow the customers of each month", func(ctx context.Context, in *cohorts) (kpi.Cohorts, error) {
		return r.service.Cohorts(ctx, in.name(), in.Kind, kpi.Request{AsOf: in.AsOf})
	})
	operate(r, http.MethodGet, workspacePath+"/cohorts/rolling", "get-rolling-curve", "Follow all customers together, by 30 days", func(ctx context.Context, in *cohorts) (kpi.Rolling, error) {
		return r.service.Rolling(ctx, in.name(), in.Kind, kpi.Request{AsOf: in.AsOf})
	})
	operate(r, http.MethodGet, workspacePath+"/kpis", "get-kpis", "Compute the figures", func(ctx context.Context, in *FiguresRequest) (kpi.Report, error) {
		return r.service.KPIs(ctx, in.name(), in.request())
	})
	operate(r, http.MethodGet, workspacePath+"/rfm", "get-rfm", "Compute recency, frequency and money", func(ctx context.Context, in *scores) (kpi.RFM, error) {
		return r.service.RFM(ctx, in.name(), in.Method, in.request())
	})
	stream(r, workspacePath+"/rfm/customers", "list-rfm-customers", "List each customer's scores, a line each", func(ctx context.Context, in *scores) (lines, error) {
		return rows(r.service.RFMCustomers(ctx, in.name(), in.Method, in.request()))
	})
}

// OneByID is a path that ends in the id of a segment or activation.
type OneByID struct {
	InWorkspace
	ID string `path:"id"`
}

func (r *router) segments() {
	type history struct {
		Limited
		ID string `path:"id"`
	}
	type preview struct {
		InWorkspace
		Body PreviewRequest
	}
	operate(r, http.MethodPost, workspacePath+"/segments/preview", "preview-segment", "Show whom a segment or rule would hold now", func(ctx context.Context, in *preview) (SegmentPreview, error) {
		return r.service.PreviewSegment(ctx, in.name(), in.Body)
	})
	operate(r, http.MethodGet, workspacePath+"/segments", "list-segments", "List segments with their sizes", func(ctx context.Context, in *InWorkspace) ([]Segment, error) {
		return list(r.service.Segments(ctx, in.name()))
	})
	operate(r, http.MethodGet, workspacePath+"/segments/{id}/history", "get-segment-history", "List who entered and left, newest first", func(ctx context.Context, in *history) ([]MembershipEvent, error) {
		return list(r.service.SegmentHistory(ctx, in.name(), in.ID, in.Limit))
	})
	stream(r, workspacePath+"/segments/{id}/members", "list-segment-members", "List a segment's members, a line each", func(ctx context.Context, in *OneByID) (lines, error) {
		return rows(r.service.SegmentMembers(ctx, in.name(), in.ID))
	})
}

func (r *router) activations() {
	type results struct {
		OneByID
		Run run.ID `query:"run" minimum:"0" doc:"The push; the last one when 0."`
	}
	operate(r, http.MethodGet, workspacePath+"/activations", "list-activations", "List activations", func(ctx context.Context, in *InWorkspace) ([]Activation, error) {
		return list(r.service.Activations(ctx, in.name()))
	})
	operate(r, http.MethodGet, workspacePath+"/activations/{id}/preview", "preview-activation", "Tell what a push would do now", func(ctx context.Context, in *OneByID) (Plan, error) {
		return r.service.PreviewActivation(ctx, in.name(), in.ID)
	})
	operate(r, http.MethodPost, workspacePath+"/activations/{id}/run", "run-activation", "Request a push", func(ctx context.Context, in *OneByID) (Run, error) {
		return r.service.RunActivation(ctx, in.name(), in.ID)
	})
	operate(r, http.MethodPost, workspacePath+"/activations/{id}/approve", "approve-activation", "Let the first push or a held plan go", func(ctx context.Context, in *OneByID) (Activation, error) {
		return r.service.ApproveActivation(ctx, in.name(), in.ID)
	})
	operate(r, http.MethodPost, workspacePath+"/activations/{id}/pause", "pause-activation", "Stop pushing", func(ctx context.Context, in *OneByID) (Activation, error) {
		return r.service.PauseActivation(ctx, in.name(), in.ID, true)
	})
	operate(r, http.MethodPost, workspacePath+"/activations/{id}/resume", "resume-activation", "Push again", func(ctx context.Context, in *OneByID) (Activation, error) {
		return r.service.PauseActivation(ctx, in.name(), in.ID, false)
	})
	stream(r, workspacePath+"/activations/{id}/results", "list-activation-results", "List what became of each record of a push, a line each", func(ctx context.Context, in *results) (lines, error) {
		return rows(r.service.ActivationResults(ctx, in.name(), in.ID, in.Run))
	})
}

// FindRequest says whom to look for. It travels in a body, as addresses of requests end up in logs (R12).
type FindRequest struct {
	Query string `json:"query" minLength:"1" doc:"An e-mail address, a phone number, a record key or a customer number."`
}

func (r *router) customers() {
	type find struct {
		InWorkspace
		Body FindRequest
	}
	type contact struct {
		InWorkspace
		ID      customer.ID `path:"id"`
		Channel string      `query:"channel" enum:"email,sms,messenger,push,phone" default:"email"`
		Purpose string      `query:"purpose" default:"marketing"`
	}
	operate(r, http.MethodPost, workspacePath+"/customers/find", "find-customers", "Find customers", func(ctx context.Context, in *find) ([]CustomerCard, error) {
		return list(r.service.FindCustomers(ctx, in.name(), in.Body.Query))
	})
	operate(r, http.MethodGet, workspacePath+"/customers/{id}/may-contact", "may-contact", "Tell whether somebody may be written to", func(ctx context.Context, in *contact) (Verdict, error) {
		v, err := r.service.MayContact(ctx, in.name(), in.ID, in.Channel, in.Purpose)
		v.Evidence, err = list(v.Evidence, err)
		return v, err
	})
	stream(r, workspacePath+"/export", "export", "Write the canonical form: sorted, without numbers of the store and times of the hub", func(ctx context.Context, in *InWorkspace) (lines, error) {
		return exported(r.service, in.name()), nil
	})
}

// OneByName is a path that ends in the name of a connection.
type OneByName struct {
	InWorkspace
	Name string `path:"name"`
}

// Released confirms that a connector left quarantine.
type Released struct {
	Name string `json:"name"`
}

func (r *router) operating() {
	type connectorName struct {
		Name string `path:"name"`
	}
	operate(r, http.MethodGet, "/status", "get-status", "Show every workspace, worst first", func(ctx context.Context, _ *struct{}) (Status, error) {
		return r.service.Status(ctx)
	})
	operate(r, http.MethodGet, workspacePath+"/connections", "list-connections", "List connections with their streams", func(ctx context.Context, in *InWorkspace) ([]Connection, error) {
		return list(r.service.Connections(ctx, in.name()))
	})
	operate(r, http.MethodPost, workspacePath+"/connections/{name}/check", "check-connection", "Test a connection", func(ctx context.Context, in *OneByName) (CheckReply, error) {
		return r.service.CheckConnection(ctx, in.name(), in.Name)
	})
	operate(r, http.MethodPost, workspacePath+"/connections/{name}/pause", "pause-connection", "Stop using a connection", func(ctx context.Context, in *OneByName) (Connection, error) {
		return r.service.PauseConnection(ctx, in.name(), in.Name, true)
	})
	operate(r, http.MethodPost, workspacePath+"/connections/{name}/resume", "resume-connection", "Use a connection again", func(ctx context.Context, in *OneByName) (Connection, error) {
		return r.service.PauseConnection(ctx, in.name(), in.Name, false)
	})
	operate(r, http.MethodGet, "/connectors", "list-connectors", "List installed connectors", func(ctx context.Context, _ *struct{}) ([]Connector, error) {
		return list(r.service.Connectors(ctx))
	})
	operate(r, http.MethodGet, "/connectors/{name}", "describe-connector", "Show what a connector says of itself", func(ctx context.Context, in *connectorName) (ConnectorSpec, error) {
		spec, err := r.service.Connector(ctx, in.Name)
		return specView(spec), err
	})
	operate(r, http.MethodPost, "/connectors/{name}/release", "release-connector", "Let a connector out of quarantine", func(ctx context.Context, in *connectorName) (Released, error) {
		return Released{in.Name}, r.service.ReleaseConnector(ctx, in.Name)
	})
}
