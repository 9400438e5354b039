package sandbox

import (
	"os"
	"path"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// behaviours are the required behaviours of a Confluence Cloud stand-in, with the tests for each.
// docs/sandbox.md describes them.
var behaviours = []struct {
	name  string
	tests []func(*testing.T)
}{
	{"01 string ids, unknown keys, ncsStepVersion and edituiv2", []func(*testing.T){TestPageObject}},
	{"02 v2 next with /wiki and a Link header, v1 next without /wiki", []func(*testing.T){
		TestNextIsInTheBodyAndInTheLinkHeader, TestSearchNextIsWithoutWiki,
	}},
	{"03 hidden rows left out of lists, 404 by id", []func(*testing.T){TestHiddenSpaceIsNotThere, TestBuiltinRestrictions, TestFaultLostPermission}},
	{"04 lists of current and archived pages, 400 for drafts and for a bad limit", []func(*testing.T){
		TestListStatuses, TestLimits, TestADraftIsNowhereUntilItIsPublished,
	}},
	{"05 every refusal of a credential", []func(*testing.T){
		TestBadCredentialOnV2IsABareNotFound, TestBadCredentialOnV1IsForbidden, TestFaultScope, TestGatewayServesTheSameSite,
		TestScopedTokenOpensTheGatewayOnly, TestTenantInfoNeedsNoCredentialAndIsACall, TestFaultDeadToken,
	}},
	{"06 410 of removed v1 routes, and the headers before it", []func(*testing.T){TestRemovedV1Routes, TestV1ListsAnswerWhereTheyAreLeft}},
	{"07 the traps of search", []func(*testing.T){
		TestSearchIgnoresStart, TestSearchLowersTheLimitWithoutAWord, TestFaultShortPagesOfSearch, TestFaultEmptyPageWithNext,
		TestSearchRows, TestSearchIndexLagsBehindWrites, TestIndexedTimeIsNotTheVersionsTime, TestCQLDatesAreMinutesInTheUsersZone,
		TestSearchSeesWhatIsCurrentOnly, TestCQLRefuses, TestAnInjectedClauseReallyInjects,
	}},
	{"08 limits, failures and broken answers", []func(*testing.T){
		TestFaultTooManyRequests, TestFaultBurstLimit, TestFaultServerErrors, TestFaultLimitTooBig, TestFaultTruncatedJSON, TestFaultHTMLWithStatus200,
	}},
	{"09 trash, archive, purge, moves and folders", []func(*testing.T){
		TestTrashedPageAnswersByIDWithoutAParent, TestArchivedPageKeepsItsParentAndTitle, TestPurgedPageIsGone,
		TestMoveToAnotherSpaceTakesWhatIsBelow, TestFoldersAreParents,
	}},
	{"10 restrictions by operation, inherited from above", []func(*testing.T){TestRestrictionsAreInherited, TestRestrictionsGoOnAfterAHundred}},
	{"11 attachments on another host, which wants no credential", []func(*testing.T){
		TestAttachmentsAreOnAnotherHost, TestTheMediaHostHasAPortOfItsOwn, TestARangeOfAFile, TestAttachmentsChange,
	}},
	{"12 no ETag", []func(*testing.T){TestNoETagIsSent}},
	{"13 blog posts beside pages, live docs among them", []func(*testing.T){
		TestBlogPosts, TestBlogPostsAreListedAsPagesAre, TestABlogPostAndAPageMayHaveOneTitle, TestTheLifeOfABlogPost,
		TestSearchTellsBlogPostsFromPages, TestLivePagesAreAPartOfThePages,
	}},
	{"14 version numbers that fall, come again, and are absurd", []func(*testing.T){
		TestOldVersionsAreDeletedAndTheRestNumberedAnew, TestAVersionMayHaveAnAbsurdNumber,
	}},
	{"15 archived spaces, and spaces whose key changes", []func(*testing.T){TestAnArchivedSpaceIsListedAndNotSearched, TestASpaceChangesItsKey}},
	{"16 a search that leaves out what a list has", []func(*testing.T){TestSearchLeavesOutWhatExists}},
	{"17 sites that move, and sites with the same ids", []func(*testing.T){TestARenamedSiteRedirects, TestTwoSitesHaveTheSamePageIDs}},
	{"18 rows that are odd", []func(*testing.T){TestFaultOddRow, TestANULInATitleAndInALinkIsServed}},
	{"19 routes that fail while the lists work, and refusals that are not about the credential", []func(*testing.T){
		TestFaultForbidden, TestFaultOfOneQuery, TestFaultOfSideLookups, TestFaultIPAllowlist, TestFaultGone, TestFaultRetryAfterOfTenYears, TestFaultTrickle,
	}},
	{"20 who may see what: people, groups, spaces in every mode, restrictions", []func(*testing.T){
		TestPermissionCheckIsTheRule, TestGroupsAndTheirMembersComeInParts, TestSpacePermissionsInEveryMode, TestRestrictionsComeWithASearch,
		TestPermissionRoutesFail, TestControlOfPermissions,
	}},
}

func TestBehaviour(t *testing.T) {
	page, err := os.ReadFile("../../../docs/sandbox.md")
	require.NoError(t, err)
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			for _, test := range b.tests {
				name := strings.TrimPrefix(path.Ext(runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()), ".")
				require.Contains(t, string(page), "`"+name+"`", "docs/sandbox.md")
				t.Run(name, test)
			}
		})
	}
}
