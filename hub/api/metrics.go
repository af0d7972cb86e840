package api

import (
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/regulars/regulars/hub/run"
	"github.com/regulars/regulars/hub/workspace"
)

// namespace is the first word of every metric of the hub.
const namespace = "regulars"

// The outcomes a record that was read or inferred deleted is counted under; the names are those of run.Counts.
var outcomes = []struct {
	name string
	of   func(run.Counts) int64
}{
	{"stored", func(c run.Counts) int64 { return c.Stored }},
	{"unchanged", func(c run.Counts) int64 { return c.Unchanged }},
	{"deleted", func(c run.Counts) int64 { return c.Deleted }},
	{"absent", func(c run.Counts) int64 { return c.Absent }},
	{"rejected", func(c run.Counts) int64 { return c.Rejected }},
	{"ignored", func(c run.Counts) int64 { return c.Ignored }},
}

// pushResults are the results of pushed records that metrics tell apart; anything else is "other", so that no
// connector's words become labels.
var pushResults = []string{
	"added", "updated", "removed", "removed_opted_out", "accepted", "rejected", "retryable", "unchanged", "held",
}

// Metrics counts what the hub does. Labels are names from the configuration, from connectors' specs, or from closed
// sets of the hub: never a person's data (R12). Its methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	records       *prometheus.CounterVec
	pages         *prometheus.HistogramVec
	runs          *prometheus.CounterVec
	runDurations  *prometheus.HistogramVec
	stalls        *prometheus.CounterVec
	settled       *prometheus.CounterVec
	refreshed     *prometheus.CounterVec
	starts        *prometheus.CounterVec
	exits         *prometheus.CounterVec
	pushed        *prometheus.CounterVec
	failedScrapes prometheus.Counter
}

// NewMetrics returns metrics with a registry of their own. Version is that of the program, for build_info.
func NewMetrics(version string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		records: counter("records_total", "Records by what became of them; absent ones were deleted at the source without being read.",
			"workspace", "connection", "stream", "outcome"),
		pages: histogram("page_duration_seconds", "Time to read, check and store one page.",
			[]float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}, "workspace", "connection", "stream"),
		runs: counter("runs_total", "Runs that are over, by how they ended.", "workspace", "kind", "state"),
		runDurations: histogram("run_duration_seconds", "Time from a run's start to its end, waiting included.",
			[]float64{0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600}, "workspace", "kind"),
		stalls:  counter("runs_stalled_total", "Times a run was taken from a worker that had gone silent.", "workspace", "kind"),
		settled: counter("settled_records_total", "Records whose customer and orders were worked out.", "workspace"),
		refreshed: counter("refreshed_customers_total", "Customers whose figures and segments were looked at: those who changed, or all on a new day, after new rules or a large change.",
			"workspace", "scope"),
		starts: counter("connector_starts_total", "Connector processes started.", "connector"),
		exits:  counter("connector_exits_total", "Connector processes that ended or did not start, by cause.", "connector", "cause"),
		pushed: counter("activation_records_total", "Records of pushes by what became of them.", "workspace", "activation", "result"),
		failedScrapes: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "samples_failed_total", Help: "Scrapes that went without the gauges because the store did not answer.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Constant 1, labelled with the program's version and Go's.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.records, m.pages, m.runs, m.runDurations, m.stalls, m.settled, m.refreshed, m.starts, m.exits, m.pushed, m.failedScrapes, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// PageRead counts a page that was read and stored.
func (m *Metrics) PageRead(workspace, connection, stream string, took time.Duration, counts run.Counts) {
	m.pages.WithLabelValues(workspace, connection, stream).Observe(took.Seconds())
	for _, o := range outcomes {
		m.records.WithLabelValues(workspace, connection, stream, o.name).Add(float64(o.of(counts)))
	}
}

// RunEnded counts a run that is over. It implements job.Observer.
func (m *Metrics) RunEnded(ws workspace.Workspace, r run.Run) {
	m.runs.WithLabelValues(ws.Name, string(r.Kind), string(r.State)).Inc()
	if !r.Started.IsZero() && !r.Finished.IsZero() {
		m.runDurations.WithLabelValues(ws.Name, string(r.Kind)).Observe(r.Finished.Sub(r.Started).Seconds())
	}
}

// Stalled counts a run that was taken from a silent worker. It implements job.Observer.
func (m *Metrics) Stalled(ws workspace.Workspace, r run.Run) {
	m.stalls.WithLabelValues(ws.Name, string(r.Kind)).Inc()
}

// Settled counts records that were settled. It implements job.Observer.
func (m *Metrics) Settled(ws workspace.Workspace, records int) {
	m.settled.WithLabelValues(ws.Name).Add(float64(records))
}

// Refreshed counts customers whose figures and segments were looked at.
func (m *Metrics) Refreshed(workspace string, customers int, everybody bool) {
	scope := "changed"
	if everybody {
		scope = "all"
	}
	m.refreshed.WithLabelValues(workspace, scope).Add(float64(customers))
}

// ConnectorStarted counts a connector process that serves. Causes are all the ways one may end: every series is made
// at once, so that a rate sees the first exit of a kind as an increase.
func (m *Metrics) ConnectorStarted(name string, causes []string) {
	m.starts.WithLabelValues(name).Inc()
	for _, cause := range causes {
		m.exits.WithLabelValues(name, cause)
	}
}

// ConnectorExited counts the end of a connector process, or a start that failed.
func (m *Metrics) ConnectorExited(name, cause string) {
	m.exits.WithLabelValues(name, cause).Inc()
}

// Pushed counts what became of the records of a push, by result. Results the hub does not know are counted as "other",
// those that begin with held_ as "held".
func (m *Metrics) Pushed(workspace, activation string, counts map[string]int) {
	for result, n := range counts {
		m.pushed.WithLabelValues(workspace, activation, pushResult(result)).Add(float64(n))
	}
}

func pushResult(result string) string {
	const held = "held_"
	switch {
	case slices.Contains(pushResults, result):
		return result
	case len(result) > len(held) && result[:len(held)] == held:
		return "held"
	default:
		return "other"
	}
}
