package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/regulars/regulars/hub/api"
)

// at returns the API's path of something in the chosen workspace; its parts are escaped.
func (a *app) at(parts ...any) string {
	workspace := a.Workspace
	if workspace == "" {
		workspace = api.OnlyWorkspace
	}
	return join(append([]any{"workspaces", workspace}, parts...)...)
}

// join makes a path of parts, escaping each.
func join(parts ...any) string {
	var path strings.Builder
	for _, part := range parts {
		path.WriteString("/" + url.PathEscape(fmt.Sprint(part)))
	}
	return path.String()
}

// query appends those parameters that have a value.
func query(path string, pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" && pairs[i+1] != "0" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}
