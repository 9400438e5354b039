package credential

import (
	"context"

	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/seal"
	"github.com/sluicehq/sluice/shared/store"
)

// Keys makes the ring of the configured master keys, nil where there is none. The salt of a
// passphrase is kept in the database.
func Keys(ctx context.Context, m config.Master, s *store.Store) (*seal.Ring, error) {
	keys, err := m.Keys()
	if err != nil {
		return nil, err
	}
	if !m.MasterPassphrase.IsZero() {
		salt, err := s.Vault().MasterSalt(ctx)
		if err != nil {
			return nil, err
		}
		k, err := seal.Derive(m.MasterPassphrase, salt)
		if err != nil {
			return nil, err
		}
		if m.MasterKey.IsZero() {
			keys = append([]seal.Key{k}, keys...)
		} else {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return seal.NewRing(keys[0], keys[1:]...), nil
}
