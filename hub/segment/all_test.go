package segment_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/regulars/regulars/hub/segment"
)

func TestAllFieldsOfACustomer(t *testing.T) {
	customers := twoCustomers()
	whole := newLanguage(t).Whole()
	require.True(t, whole.Names("products"))
	require.Empty(t, whole.Definitions())

	full := whole.All(facts(t, customers...), &customers[0].Subject)
	require.Len(t, full, len(segment.Fields())+7)
	for name, value := range full {
		require.NotNil(t, value, name)
	}
	require.InDelta(t, 80.10, full["net_value"], 1e-9, "in major units")
	require.Equal(t, "1997-01-05", full["renewal_on"])
	require.Equal(t, (asOf - 100).String(), full["last_order_on"])
	require.Equal(t, []string{"tea"}, full["interests"])
	_, err := json.Marshal(full)
	require.NoError(t, err)

	empty := whole.All(facts(t, customers...), &customers[1].Subject)
	require.Len(t, empty, len(full), "missing fields are named too")
	require.Nil(t, empty["lifecycle"])
	require.Equal(t, 0, empty["orders"])
}
