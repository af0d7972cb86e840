package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/sdk/conformance"
)

// maxLines is what "the smallest connector fits on a page" means.
const maxLines = 65

func TestShopfrontPassesConformance(t *testing.T) {
	shop := startShop(t, 107)
	conformance.Run(t, conformance.Case{
		Path:    build(t),
		Config:  fmt.Sprintf(`{"url": %q}`, shop.URL),
		Secrets: map[string]string{"token": "shop-token-1"},
		Records: map[string]int{"contacts": 107},
		BadConfigs: []conformance.BadConfig{
			{Name: "no address", Config: `{"url": "shop"}`, Secrets: map[string]string{"token": "shop-token-1"}, Fields: []string{"url"}},
			{Name: "two faults", Config: `{"url": 5}`, Fields: []string{"url", "token"}},
			{Name: "a secret in the configuration", Config: `{"url": "https://shop.example.com", "token": "shop-token-1"}`, Fields: []string{"token"}},
		},
	})
}

func TestShopfrontFitsOnAPage(t *testing.T) {
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	require.LessOrEqual(t, strings.Count(string(source), "\n"), maxLines)

	page, err := os.ReadFile(filepath.Join("..", "..", "writing-a-connector.md"))
	require.NoError(t, err)
	require.Contains(t, string(page), "```go\n"+string(source)+"```\n", "the page shows other code than main.go")
}

// startShop serves the API of a small shop: twenty customers a page.
func startShop(t *testing.T, customers int) *httptest.Server {
	t.Helper()
	const perPage = 20
	mux := http.NewServeMux()
	mux.HandleFunc("GET /contacts", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer shop-token-1" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		page, err := strconv.Atoi(r.URL.Query().Get("page"))
		if err != nil || page < 1 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		contacts := []map[string]string{}
		for n := (page-1)*perPage + 1; n <= min(page*perPage, customers); n++ {
			c := map[string]string{
				"id": strconv.Itoa(n), "name": fmt.Sprintf("Customer %d", n),
				"updated_at": time.Date(2024, time.May, 1, 0, n, 0, 0, time.UTC).Format(time.RFC3339),
			}
			if n%3 > 0 {
				c["email"] = fmt.Sprintf("customer%d@example.com", n)
			}
			if n%2 > 0 {
				c["phone"] = fmt.Sprintf("+7999000%04d", n)
			}
			contacts = append(contacts, c)
		}
		w.Header().Set("Content-Type", "application/json")
		answer := map[string]any{"pages": (customers + perPage - 1) / perPage, "contacts": contacts}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Errorf("the shop cannot answer: %v", err)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shopfront")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}
