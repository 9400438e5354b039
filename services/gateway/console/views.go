package console

import (
	"strings"

	"github.com/sluicehq/sluice/shared/apikey"
)

// views is the only place that assigns a role to each view: the role of the API's route for the same.
var views = map[string]view{
	"GET ":         {apikey.Read, (*Console).overview},
	"POST /logout": {apikey.Read, (*Console).logout},

	"GET /sources/{source_id}":                     {apikey.Read, (*Console).source},
	"GET /sources/{source_id}/pages":               {apikey.Read, (*Console).sourcePages},
	"GET /sources/{source_id}/pages/{page}":        {apikey.Read, (*Console).page},
	"GET /sources/{source_id}/pages/{page}/access": {apikey.Admin, (*Console).access}, // tells of pages that the key may not see
	"GET /sources/{source_id}/failures":            {apikey.Read, (*Console).failures},
	"GET /sources/{source_id}/losses":              {apikey.Read, (*Console).losses},
	"GET /sources/{source_id}/settings":            {apikey.Admin, (*Console).settings},
	"POST /sources/{source_id}/settings":           {apikey.Admin, (*Console).change},
	"POST /sources/{source_id}/delete":             {apikey.Admin, (*Console).remove},
	"POST /sources/{source_id}/sync":               {apikey.Operate, (*Console).sync},
	"POST /sources/{source_id}/retry":              {apikey.Operate, (*Console).retry},
	"POST /sources/{source_id}/resume":             {apikey.Operate, (*Console).resume},

	"GET /runs/{run}":         {apikey.Read, (*Console).run},
	"GET /runs/{run}/events":  {apikey.Read, (*Console).runEvents},
	"GET /runs/{run}/pages":   {apikey.Operate, (*Console).runPages}, // pages that may have been hidden since
	"POST /runs/{run}/cancel": {apikey.Operate, (*Console).cancel},

	"GET /removals":                {apikey.Operate, (*Console).removals},
	"GET /removals/{run}":          {apikey.Operate, (*Console).removals},
	"POST /removals/{run}/approve": {apikey.Operate, (*Console).approve},
	"POST /removals/{run}/reject":  {apikey.Operate, (*Console).reject},

	"GET /search": {apikey.Read, (*Console).search},

	"GET /system":                     {apikey.Read, (*Console).system},
	"GET /system/embeddings":          {apikey.Read, (*Console).embeddings},
	"GET /system/doctor":              {apikey.Operate, (*Console).doctor}, // calls the sites
	"GET /system/keys":                {apikey.Admin, (*Console).keys},
	"POST /system/keys":               {apikey.Admin, (*Console).createKey},
	"POST /system/keys/{key}/revoke":  {apikey.Admin, (*Console).revokeKey},
	"GET /system/credentials":         {apikey.Admin, (*Console).credentials},
	"POST /system/credentials":        {apikey.Admin, (*Console).setCredential},
	"POST /system/credentials/remove": {apikey.Admin, (*Console).removeCredential},

	"GET /add":          {apikey.Admin, (*Console).addSite},
	"POST /add/site":    {apikey.Admin, (*Console).chooseSite},
	"GET /add/space":    {apikey.Admin, (*Console).addSpace},
	"GET /add/settings": {apikey.Admin, (*Console).addSettings},
	"POST /add":         {apikey.Admin, (*Console).add},
}

// alone are the views that also ask others than the database, or last: no transaction waits for them.
var alone = map[string]bool{
	"GET /runs/{run}/events": true, "GET /search": true, "GET /system": true, "GET /system/doctor": true, "GET /add/space": true, "GET /add/settings": true,
}

// Views returns the role that each view needs, by its pattern with the whole path.
func Views() map[string]apikey.Role {
	roles := map[string]apikey.Role{}
	for pattern, v := range views {
		method, path, _ := strings.Cut(pattern, " ")
		roles[method+" "+Root+path] = v.role
	}
	return roles
}
