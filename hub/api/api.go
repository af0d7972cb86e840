package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/regulars/regulars/hub/kpi"
)

// Base is where the API begins. The number grows only when a client written before would break.
const Base = "/api/v1"

// OnlyWorkspace stands in a path for the only workspace there is.
const OnlyWorkspace = "-"

// readyTimeout is how long /readyz waits for the store.
const readyTimeout = 2 * time.Second

// New returns the whole API with health and metrics. It gives out personal data and asks for no login, so it is for
// the hub's own socket, which only its owner can open; see NewMonitoring for the rest of the world.
func New(service Service, metrics *Metrics, log *slog.Logger) http.Handler {
	mux := monitoring(service, metrics, log)
	newRouter(mux, service, log)
	return mux
}

// NewMonitoring returns /healthz, /readyz and /metrics only, for the listening address: they hold no personal data.
func NewMonitoring(service Service, metrics *Metrics, log *slog.Logger) http.Handler {
	return monitoring(service, metrics, log)
}

// OpenAPI returns the description of the API as indented JSON, the same bytes each time.
func OpenAPI() ([]byte, error) {
	return newRouter(http.NewServeMux(), nil, slog.New(slog.DiscardHandler)).describe()
}

func monitoring(service Service, metrics *Metrics, log *slog.Logger) *http.ServeMux {
	// The sampler has a registry of its own: several handlers may show one set of metrics.
	gauges := prometheus.NewRegistry()
	gauges.MustRegister(&sampler{service: service, metrics: metrics, log: log})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeLine(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		switch err := service.Ready(ctx); {
		case err == nil:
			writeLine(w, http.StatusOK, "ready")
		case errors.Is(err, ErrRefused):
			writeLine(w, http.StatusServiceUnavailable, err.Error())
		default:
			log.Error("not ready", "error", err)
			writeLine(w, http.StatusServiceUnavailable, "the store does not answer; the hub's log says why")
		}
	})
	// The gauges come first: a scrape that had to go without them counts itself.
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.Gatherers{gauges, metrics.registry}, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: scrapeLog{log},
	}))
	return mux
}

func writeLine(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // a client that has gone needs no answer
}

// scrapeLog passes on what promhttp complains about.
type scrapeLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (s scrapeLog) Println(words ...any) { s.log.Warn("metrics are incomplete", "reason", words) }

// router registers the operations.
type router struct {
	api     huma.API
	mux     *http.ServeMux
	service Service
	log     *slog.Logger
}

func newRouter(mux *http.ServeMux, service Service, log *slog.Logger) *router {
	config := huma.DefaultConfig("Regulars", "v1")
	config.Info.Description = "The API of a hub, over the Unix socket beside its store. Its command line uses nothing else."
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = Base+"/openapi", "", ""
	config.CreateHooks = nil // they add a $schema to every answer
	aliasForms(config.Components.Schemas)
	r := &router{api: humago.New(mux, config), mux: mux, service: service, log: log}
	r.syncing()
	r.deadLetters()
	r.figures()
	r.segments()
	r.activations()
	r.customers()
	r.card()
	r.identities()
	r.operating()
	return r
}

// answer is what huma wants a handler to return.
type answer[T any] struct{ Body T }

// operate registers an operation that answers with JSON.
func operate[In, Out any](r *router, method, path, id, summary string, f func(ctx context.Context, in *In) (Out, error)) {
	operation := huma.Operation{
		OperationID: id, Method: method, Path: Base + path, Summary: summary,
		Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusInternalServerError},
	}
	huma.Register(r.api, operation, func(ctx context.Context, in *In) (*answer[Out], error) {
		out, err := f(ctx, in)
		if err != nil {
			return nil, r.problem(ctx, id, err)
		}
		return &answer[Out]{Body: out}, nil
	})
}

// problem turns a service's error into an answer. What is no refusal is a fault of ours: its text may quote anything,
// so it goes to the log alone.
func (r *router) problem(ctx context.Context, operation string, err error) huma.StatusError {
	var request *kpi.RequestError
	switch {
	case errors.Is(err, ErrNotFound):
		return huma.NewError(http.StatusNotFound, err.Error())
	case errors.As(err, &request):
		detail := &huma.ErrorDetail{Location: "query." + request.Field, Message: request.Reason}
		return huma.NewError(http.StatusUnprocessableEntity, request.Error(), detail)
	case errors.Is(err, ErrRefused):
		return huma.NewError(http.StatusUnprocessableEntity, err.Error())
	case ctx.Err() != nil:
		return huma.NewError(http.StatusServiceUnavailable, "the request was given up before it was answered")
	default:
		r.log.Error("request failed", "operation", operation, "error", err)
		return huma.NewError(http.StatusInternalServerError, "something went wrong in the hub; its log says what")
	}
}

// list makes a list that is [] rather than null in JSON.
func list[T any](items []T, err error) ([]T, error) {
	if items == nil {
		items = []T{}
	}
	return items, err
}
