//go:build tools

// Package tools pins the proxy that the fault tests put in front of broker and database: go.sum holds the hash of all that it is built of.
package tools

import _ "github.com/Shopify/toxiproxy/v2/cmd/server"
