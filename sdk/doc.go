// Package sdk is what the author of a connector imports. A connector is one executable that says what it is and
// hands out pages; serving, configuration, paging limits, errors and logs are done here:
//
//	func main() {
//		sdk.Serve(sdk.Connector{
//			Name: "shopfront", Version: "1.0.0", Title: "Shopfront",
//			Config:  sdk.ConfigOf[config](),
//			Streams: []sdk.Stream{sdk.StreamOf(sdk.Stream{Name: "contacts", Doc: "Customers."}, readContacts)},
//		})
//	}
//
// A connector keeps nothing between calls: every call carries the configuration, the access and the cursor it
// needs, and the process may be stopped after any of them.
package sdk
