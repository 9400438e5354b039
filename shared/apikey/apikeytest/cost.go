// Package apikeytest makes keys for tests, which need many and guard nothing by them.
package apikeytest

import (
	"golang.org/x/crypto/bcrypt"

	"github.com/sluicehq/sluice/shared/apikey"
)

// Cost is the least that a hash can cost. With the race detector one at the cost of real keys
// takes about a second.
const Cost = apikey.Cost(bcrypt.MinCost)
