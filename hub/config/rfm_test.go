package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLifespanAndRFM(t *testing.T) {
	for _, c := range []struct {
		kpi      string
		lifespan Lifespan
		rfm      RFM
		problem  string
	}{
		{"{}", Lifespan{Method: LifespanByChurn}, RFM{Method: RFMByShare}, ""},
		{"{lifespan: observed}", Lifespan{Method: LifespanObserved}, RFM{Method: RFMByShare}, ""},
		{"{lifespan: {years: 2.5}}", Lifespan{Method: LifespanYears, Years: 2.5}, RFM{Method: RFMByShare}, ""},
		{
			"{rfm: {method: fixed, recency_days: [30, 60, 90, 180], orders: [2, 3, 5, 10], net_value: [1000, 5000.50, 20000, 50000]}}",
			Lifespan{Method: LifespanByChurn},
			RFM{
				Method: RFMFixed, RecencyDays: []int{30, 60, 90, 180}, Orders: []int{2, 3, 5, 10},
				NetValue: []string{"1000", "5000.50", "20000", "50000"},
			},
			"",
		},
		{kpi: "{lifespan: {years: 0}}", problem: "kpi.lifespan.years"},
		{kpi: "{lifespan: for ever}", problem: "kpi.lifespan"},
		{kpi: "{rfm: {method: fixed}}", problem: "kpi.rfm.recency_days"},
		{kpi: "{rfm: {orders: [1, 2, 3]}}", problem: "kpi.rfm.orders"},
		{kpi: "{rfm: {recency_days: [30, 60, 50, 180]}}", problem: "kpi.rfm.recency_days"},
		{kpi: "{rfm: {net_value: [1, 2, 3, 4.001]}}", problem: "kpi.rfm.net_value[3]"},
		{kpi: "{rfm: {net_value: [1, 2, 3, much]}}", problem: "kpi.rfm.net_value[3]"},
	} {
		t.Run(c.kpi, func(t *testing.T) {
			files := map[string]string{"workspaces/w.yaml": workspaceNamed("w", "kpi: "+c.kpi+"\n")}
			hub, problems := Load(folder(t, files), Options{LookupEnv: env()})
			if c.problem != "" {
				var paths []string
				for _, p := range problems {
					paths = append(paths, p.Path)
				}
				require.Contains(t, paths, c.problem)
				return
			}
			require.Empty(t, problems)
			require.Equal(t, c.lifespan, hub.Workspaces[0].Lifespan)
			require.Equal(t, c.rfm, hub.Workspaces[0].RFM)
		})
	}
}
