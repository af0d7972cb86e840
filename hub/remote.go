package hub

import (
	"context"

	"github.com/regulars/regulars/hub/connector"
	"github.com/regulars/regulars/hub/runner"
	"github.com/regulars/regulars/hub/store"
	"github.com/regulars/regulars/hub/workspace"
)

// remote reaches the outside systems: it joins a connection of the store with its configuration and secrets and
// calls the connector's process.
type remote struct{ hub *Hub }

// resolve returns the process and the call for a connection; the error is a *connector.Problem.
func (r remote) resolve(ws store.WorkspaceID, conn store.ConnectionID) (runner.Connection, connector.Call, error) {
	st, ok := r.hub.state(ws)
	if !ok {
		return runner.Connection{}, connector.Call{}, &connector.Problem{Kind: connector.Rejected, Message: "the workspace is not in the configuration"}
	}
	c, ok := st.connections[conn]
	if !ok {
		return runner.Connection{}, connector.Call{}, &connector.Problem{Kind: connector.Rejected, Message: "the connection is not in the configuration"}
	}
	if c.problem != nil {
		return runner.Connection{}, connector.Call{}, c.problem
	}
	return c.process(st), c.call(st), nil
}

// ReadPage implements ingest.Source.
func (r remote) ReadPage(ctx context.Context, ws workspace.Workspace, conn store.ConnectionID, req connector.ReadRequest) (connector.Page, error) {
	process, call, err := r.resolve(ws.ID, conn)
	if err != nil {
		return connector.Page{}, err
	}
	return r.hub.pool.Read(ctx, process, call, req)
}

// Targets implements activation.Destination.
func (r remote) Targets(ctx context.Context, ws store.WorkspaceID, conn store.ConnectionID, kind, create string) ([]connector.Target, error) {
	process, call, err := r.resolve(ws, conn)
	if err != nil {
		return nil, err
	}
	return r.hub.pool.Targets(ctx, process, call, kind, create)
}

// Members implements activation.Destination: one page of who is on a target.
func (r remote) Members(ctx context.Context, ws store.WorkspaceID, conn store.ConnectionID, target string, cursor connector.Cursor) (connector.Page, error) {
	process, call, err := r.resolve(ws, conn)
	if err != nil {
		return connector.Page{}, err
	}
	return r.hub.pool.Read(ctx, process, call, connector.ReadRequest{Stream: connector.MembersStream, Mode: connector.Full, Target: target, Cursor: cursor})
}

// Write implements activation.Destination.
func (r remote) Write(ctx context.Context, ws store.WorkspaceID, conn store.ConnectionID, actions []connector.Action) ([]connector.Result, error) {
	process, call, err := r.resolve(ws, conn)
	if err != nil {
		return nil, err
	}
	results, _, err := r.hub.pool.Write(ctx, process, call, actions)
	return results, err
}
