// Package apikeytest makes cheap keys for tests, which need many and protect nothing.
package apikeytest

import (
	"golang.org/x/crypto/bcrypt"

	"github.com/sluicehq/sluice/shared/apikey"
)

// Cost is the lowest cost of a hash. With the race detector, one hash at the cost of real keys takes
// about a second.
const Cost = apikey.Cost(bcrypt.MinCost)
