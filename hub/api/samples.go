package api

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/regulars/regulars/hub/run"
)

// sampleTimeout is how long a scrape waits for the store before it goes without the gauges.
const sampleTimeout = 5 * time.Second

// sampler asks the service what gauges show, at the moment of each scrape.
type sampler struct {
	service interface {
		Samples(ctx context.Context) (Samples, error)
	}
	metrics *Metrics
	log     *slog.Logger
}

// Collectors implement Describe with fixed descriptions, so that two of the same name cannot be registered.
func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// sampled are the gauges, in one place so that Describe and Collect agree.
var sampled = struct {
	queueDepth, tickAge, storeSize, settleLag, unsettled, runsActive,
	lastComplete, fresh, deadLetters, segmentSize, kpi, paused, held *prometheus.Desc
}{
	queueDepth:   gauge("queue_depth", "Jobs that wait for a worker.", "queue"),
	tickAge:      gauge("scheduler_tick_age_seconds", "Time since the scheduler last looked for what is due."),
	storeSize:    gauge("store_size_bytes", "Size of the store's files."),
	settleLag:    gauge("settle_lag_seconds", "Age of the oldest record whose customer is not worked out yet.", "workspace"),
	unsettled:    gauge("unsettled_records", "Records whose customer is not worked out yet.", "workspace"),
	runsActive:   gauge("runs_active", "Runs that are not over, by where they stand.", "workspace", "state"),
	lastComplete: gauge("stream_last_complete_timestamp_seconds", "When a stream was last read to its end; missing before the first time.", "workspace", "connection", "stream"),
	fresh:        gauge("stream_fresh", "1 when the last complete read is younger than three times the connection's interval, at least 15 minutes.", "workspace", "connection", "stream"),
	deadLetters:  gauge("dead_letters_open", "Records kept aside that nobody has dealt with.", "workspace", "connection", "stream"),
	segmentSize:  gauge("segment_size", "Customers in a segment at its last evaluation.", "workspace", "segment"),
	kpi:          gauge("kpi", "Headline figures as of the business day; money in the workspace's currency, shares from 0 to 1.", "workspace", "id"),
	paused:       gauge("connection_paused", "1 when a connection is neither read nor written.", "workspace", "connection"),
	held:         gauge("activation_held", "1 when an activation waits for a person.", "workspace", "activation"),
}

// activeStates are the states of runs that are not over; each is shown even when no run is in it.
var activeStates = []run.State{run.Pending, run.Queued, run.Running, run.Waiting}

// Describe implements prometheus.Collector.
func (s *sampler) Describe(to chan<- *prometheus.Desc) {
	d := sampled
	for _, desc := range []*prometheus.Desc{
		d.queueDepth, d.tickAge, d.storeSize, d.settleLag, d.unsettled, d.runsActive, d.lastComplete, d.fresh,
		d.deadLetters, d.segmentSize, d.kpi, d.paused, d.held,
	} {
		to <- desc
	}
}

// Collect implements prometheus.Collector. When the service does not answer in time, the scrape goes without the
// gauges: counters are most wanted exactly then.
func (s *sampler) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), sampleTimeout)
	defer cancel()
	samples, err := s.service.Samples(ctx)
	if err != nil {
		s.metrics.failedScrapes.Inc()
		s.log.Warn("scrape without gauges", "error", err)
		return
	}
	set := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for queue, depth := range samples.QueueDepth {
		set(sampled.queueDepth, float64(depth), queue)
	}
	set(sampled.tickAge, samples.TickAge.Seconds())
	set(sampled.storeSize, float64(samples.StoreBytes))
	for _, w := range samples.Workspaces {
		set(sampled.settleLag, w.SettleLag.Seconds(), w.Name)
		set(sampled.unsettled, float64(w.Unsettled), w.Name)
		for _, state := range activeStates {
			set(sampled.runsActive, float64(w.ActiveRuns[state]), w.Name, string(state))
		}
		for _, stream := range w.Streams {
			labels := []string{w.Name, stream.Connection, stream.Stream}
			if !stream.LastComplete.IsZero() {
				set(sampled.lastComplete, float64(stream.LastComplete.UnixMilli())/1000, labels...)
			}
			set(sampled.fresh, flag(stream.Fresh), labels...)
			set(sampled.deadLetters, float64(stream.DeadLetters), labels...)
		}
		for id, size := range w.SegmentSizes {
			set(sampled.segmentSize, float64(size), w.Name, id)
		}
		for id, value := range w.KPIs {
			set(sampled.kpi, value, w.Name, id)
		}
		for connection, paused := range w.Paused {
			set(sampled.paused, flag(paused), w.Name, connection)
		}
		for activation, held := range w.Held {
			set(sampled.held, flag(held), w.Name, activation)
		}
	}
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
