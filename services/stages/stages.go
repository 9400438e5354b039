// Package stages is the list of what runs: every stage, and the programs made of them. What
// starts stages, documents settings or examines the whole takes them from here.
package stages

import (
	"github.com/sluicehq/sluice/services/chunk-writer/chunkwriter"
	"github.com/sluicehq/sluice/services/converter/converter"
	"github.com/sluicehq/sluice/services/deletion-detector/deletiondetector"
	"github.com/sluicehq/sluice/services/embedder/embedder"
	"github.com/sluicehq/sluice/services/extractor/extractor"
	"github.com/sluicehq/sluice/services/fetcher/fetcher"
	"github.com/sluicehq/sluice/services/gateway/gateway"
	"github.com/sluicehq/sluice/services/progress/progress"
	"github.com/sluicehq/sluice/shared/config"
	"github.com/sluicehq/sluice/shared/service"
)

// Pipeline returns the stages that a page passes and that follow it, in the order of its way.
func Pipeline() []service.Stage {
	return []service.Stage{
		fetcher.Stage(),
		converter.Stage(),
		extractor.Stage(),
		chunkwriter.Stage(),
		deletiondetector.Stage(),
		progress.Stage(),
		embedder.Stage(),
	}
}

// All returns the stages of the pipeline and the HTTP API.
func All() []service.Stage { return append(Pipeline(), gateway.Stage()) }

// Names returns the names of the pipeline's stages.
func Names() []string {
	var names []string
	for _, s := range Pipeline() {
		names = append(names, s.Name)
	}
	return names
}

// Command returns the sluice program, which runs every stage and so has the settings of each.
func Command() config.Program {
	types := []config.Type{config.TypeOf[config.Sluice]()}
	for _, s := range All() {
		types = append(types, s.Settings)
	}
	return config.NewProgram("sluice", types...)
}

// Programs returns every program in the order of the way of a page, the command last.
func Programs() []config.Program {
	var list []config.Program
	for _, s := range All() {
		list = append(list, s.Program())
	}
	return append(list, config.NewProgram("sandbox", config.TypeOf[config.Sandbox]()), Command())
}
