"""What a file has to be for ModelArray, rule by rule, with what a breach does in R.

``docs/file-format.md`` lists them, as they are here. What R does was tried with rhdf5 2.42 and
HDF5Array 1.26 (HDF5 1.10.8) on files that break each rule, opened as the constructor
``ModelArray()`` does (``tests/r/open_store.R``). What ModelArray says is from its source.

One rule is one severity: where a breach may be harmless or not, and headers tell which, it is two
rules. Where they do not tell, or outcomes are as grave as each other, it is one, which names all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a breach is."""

    #: R cannot open it, takes it for something else, or results lose their places.
    ERROR = 'error'
    #: R copes: slowly, with complaints, or this version of it does.
    WARNING = 'warning'
    #: Worth knowing, and maybe as it is meant to be.
    NOTE = 'note'


@dataclass(frozen=True)
class Rule:
    """A rule.

    Parameters
    ----------
    id : str
        Its name, which stays.
    severity : Severity
        How bad a breach is.
    asks : str
        What it asks for.
    in_r : str
        What a breach does in R: sentences.
    remedy : str
        What to do: sentences.
    """

    id: str
    severity: Severity
    asks: str
    in_r: str
    remedy: str


_KEPT: list[Rule] = []


def _rule(name: str, severity: Severity, asks: str, in_r: str, remedy: str) -> Rule:
    """A rule, kept in :data:`RULES`."""
    _KEPT.append(Rule(name, severity, asks, in_r, remedy))
    return _KEPT[-1]


_BUILD_AGAIN = 'Build the file again.'
_RUN_AGAIN = 'Run the analysis again, or remove it.'
_THE_SAME_CSV = 'Give the very CSV the file was made from.'

# The file.

LOCKED = _rule(
    'file-locked',
    Severity.ERROR,
    'nobody has the file open for writing',
    'ModelArray() stops: "Unable to open file".',
    'Close it there (in R: h5closeAll()), or wait until that program is done.',
)
TOO_NEW = _rule(
    'file-too-new',
    Severity.ERROR,
    'the file is of HDF5 1.10 at most, in all its datasets',
    'ModelArray() stops: "Can\'t open object", or "doesn\'t seem to be the path to a valid HDF5 '
    'file". R\'s own HDF5 is of version 1.10.',
    "Build the file again; in h5py, with libver=('earliest', 'v110').",
)
DAMAGED = _rule(
    'file-damaged',
    Severity.ERROR,
    'everything in the file can be read',
    'Whatever reads this part stops.',
    'Copy the file again, or build it again.',
)
NO_SCALARS = _rule(
    'file-without-scalars',
    Severity.ERROR,
    'there is a scalar: a group in /scalars',
    'ModelArray() stops: there is nothing to open.',
    'Give a file that was made for ModelArray.',
)

ELSEWHERE = _rule(
    'file-elsewhere',
    Severity.WARNING,
    'all that R reads is in the file itself',
    'Read, as long as the other file is where the link says.',
    'Let the other file travel along; or copy what it holds into this one, with h5copy.',
)

# Any dataset that R reads.

UNKNOWN_FILTER = _rule(
    'filter-unknown',
    Severity.ERROR,
    'compression is gzip or lzf, or none',
    'Reading stops: "H5Dread() returned an error". R has no such filter.',
    'Build the file again, with --compression gzip.',
)
RARE_FILTER = _rule(
    'filter-rare',
    Severity.WARNING,
    'compression is gzip or lzf, or none',
    'Read by rhdf5 where rhdf5filters is installed; other programs may not have the filter.',
    'Build the file again, with --compression gzip.',
)
DEADLY_ATTRIBUTE = _rule(
    'attribute-deadly',
    Severity.ERROR,
    'values and results have no attributes',
    'R itself crashes, since it reads every attribute and this one has a text that was never '
    'written.',
    'Remove the attribute; in h5py, with "del dataset.attrs[name]".',
)
ATTRIBUTE = _rule(
    'attribute',
    Severity.WARNING,
    'values and results have no attributes',
    'R reads every attribute: some types make it warn, and a text that was never written makes it '
    'crash.',
    'Remove it; in h5py, with "del dataset.attrs[name]".',
)

# Scalars.

SCALAR_NAME = _rule(
    'scalar-name',
    Severity.WARNING,
    'a scalar\'s name is one of R, and not "scalars"',
    'A formula takes the name for something else, unless it stands in backticks: FA-1 is FA minus '
    '1.',
    "Rename the group; in h5py, with file.move('scalars/FA-1', 'scalars/FA_1').",
)
NESTED_SCALAR = _rule(
    'scalar-nested',
    Severity.ERROR,
    'scalars are in /scalars itself',
    'ModelArray() does not find the scalar by its name, and stops: it would have to be asked for '
    '"scalars/FA", which no formula takes.',
    "Move the group; in h5py, with file.move('scalars/scalars/FA', 'scalars/FA').",
)
NO_MATRIX = _rule(
    'values-missing',
    Severity.ERROR,
    'values is a matrix of sources and elements',
    'ModelArray() stops if it is asked for this scalar, or has nothing to analyse.',
    _BUILD_AGAIN,
)
STRAY = _rule(
    'scalar-stray',
    Severity.WARNING,
    'each group in /scalars is a scalar: it has values, a matrix of sources and elements',
    'ModelArray() opens the other scalars, and stops if it is asked for this one.',
    'Remove the group, or build the file again if this is a scalar you need.',
)
VALUES_TYPE = _rule(
    'values-type',
    Severity.ERROR,
    'values are float32 or float64',
    'R refuses to open them, or takes them for text or raw bytes (uint8), of which none counts as '
    'a finite number: every element is left out.',
    'Build the file again: values are stored as float32.',
)
VIRTUAL = _rule(
    'values-virtual',
    Severity.ERROR,
    'values are in the file itself, not put together of other datasets',
    'ModelArray() stops: "missing value where TRUE/FALSE needed".',
    _BUILD_AGAIN,
)
WHOLE_NUMBERS = _rule(
    'values-integer',
    Severity.WARNING,
    'values are float32 or float64',
    'Read as they are, but for three: of uint32, what is above 2,147,483,647 is cut to that; of '
    'int32, -2,147,483,648 becomes a missing value; of 64 bits, what is beyond 2^53 is rounded. No '
    'other value can be missing: what is outside of a mask counts as data.',
    'Build the file again: values are stored as float32.',
)
OTHER_FLOATS = _rule(
    'values-float',
    Severity.WARNING,
    'values are float32 or float64, little-endian',
    'Read as they are, after they have been converted each time. Half precision (float16) keeps '
    'three digits.',
    'Build the file again: values are stored as float32.',
)
TURNED = _rule(
    'values-turned',
    Severity.WARNING,
    'values are (n_sources, n_elements), as h5py sees it',
    'ModelArray turns the matrix, since only so it has as many sources as there are names; were '
    'the numbers equal, it would not, and take elements for sources.',
    _BUILD_AGAIN,
)
SQUARE = _rule(
    'values-square',
    Severity.NOTE,
    'values are (n_sources, n_elements), as h5py sees it',
    'ModelArray takes the matrix as it is. Were it the wrong way round, nothing would tell.',
    'Compare one source with its image, if the file is not of this program.',
)
CHUNKS = _rule(
    'values-chunks',
    Severity.WARNING,
    'each chunk of values spans all sources',
    'Right, but slow: R reads element by element, and all chunks that have a part of one. Of 1,000 '
    'sources in chunks of one each, it takes 374 ms an element, not 9 to 15.',
    _BUILD_AGAIN,
)
LARGE_CHUNKS = _rule(
    'values-large-chunks',
    Severity.WARNING,
    'a chunk of values is of a few MiB at most',
    'Right, but slow: R inflates a whole chunk for each element. Of 1,000 sources, it takes 9 ms '
    'with chunks of 2 MiB, 89 with 16 and 438 with 76.',
    _BUILD_AGAIN,
)

# Names of sources.

NO_NAMES = _rule(
    'names-missing',
    Severity.ERROR,
    "sources' names are the dataset column_names beside values",
    "ModelArray() stops if it is asked for this scalar: \"Neither attribute 'column_names' nor a "
    'dataset with column names found".',
    _BUILD_AGAIN,
)
NAMES_COUNT = _rule(
    'names-count',
    Severity.ERROR,
    'there are as many names as sources',
    'ModelArray() stops: "the dimension of scalar_data does not match to length of sources".',
    _BUILD_AGAIN,
)
NAMES_TEXT = _rule(
    'names-text',
    Severity.ERROR,
    'names are text in UTF-8',
    'The names equal none of the phenotypes, and the analysis stops.',
    _BUILD_AGAIN,
)
NAMES_BLANK = _rule(
    'names-blank',
    Severity.ERROR,
    'no name is blank',
    'R itself crashes if the name was never written; otherwise it equals none of the phenotypes, '
    'and the analysis stops.',
    _BUILD_AGAIN,
)
NAMES_TWICE = _rule(
    'names-twice',
    Severity.ERROR,
    'every name is there once',
    'The analysis stops: "The source files in ModelArray \'data\' are not unique".',
    _BUILD_AGAIN,
)
NAMES_FORM = _rule(
    'names-form',
    Severity.NOTE,
    'names are one row of variable-length strings in UTF-8',
    'Read, and made text where they are not.',
    'Nothing, if the names in R are those of the phenotypes.',
)
NAMES_ATTRIBUTE = _rule(
    'names-attribute',
    Severity.WARNING,
    "sources' names are the dataset column_names, not an attribute",
    'Read. An attribute holds about 4,090 names, and wins over the dataset if the two differ.',
    'Remove the attribute where the dataset says the same; otherwise build the file again.',
)
NAMES_CONTRADICT = _rule(
    'names-contradict',
    Severity.ERROR,
    'the names in an attribute, if there is one, are those of the dataset',
    'ModelArray takes those of the attribute, without a word.',
    'Remove the one that is wrong.',
)
NAMES_NESTED = _rule(
    'names-nested',
    Severity.WARNING,
    "sources' names are beside their values",
    'Read, with a warning ("a known quirk from some converters").',
    "Move them; in h5py, with file.move('scalars/scalars/FA/column_names', "
    "'scalars/FA/column_names').",
)
SOURCES_DIFFER = _rule(
    'sources-differ',
    Severity.NOTE,
    'scalars that stand in one formula have the same sources',
    'Each can be analysed for itself; a formula with two of them stops. mergeModelArrays() gives '
    'them common names.',
    'Nothing, unless two are to stand in one formula.',
)

# Elements.

NO_ELEMENTS = _rule(
    'elements-missing',
    Severity.WARNING,
    'there is a table of the elements',
    'Opened, and analysed. What an element is, nobody can tell: mergeModelArrays() cannot compare, '
    'and exporting needs the group mask, the fixel directory or an image beside the file.',
    _BUILD_AGAIN,
)
ELEMENTS_FORM = _rule(
    'elements-form',
    Severity.WARNING,
    'a table of elements is two-dimensional numbers, or one row of names',
    'Opened. elementMetadata() returns what is there.',
    _BUILD_AGAIN,
)
ELEMENTS_COLUMNS = _rule(
    'elements-columns',
    Severity.WARNING,
    'a table of elements has the attribute column_names, with the columns of its kind',
    'Opened. elementMetadata() returns numbers of which nobody can tell what they are.',
    _BUILD_AGAIN,
)
ELEMENTS_COUNT = _rule(
    'elements-count',
    Severity.ERROR,
    'the table of elements has as many as each scalar',
    'Opened, without a word. Elements are not what the table says they are, and results end in '
    'the wrong places.',
    _BUILD_AGAIN,
)
ELEMENTS_IDS = _rule(
    'elements-ids',
    Severity.WARNING,
    'the first column of a table of elements counts them from 0, in order',
    'Opened. elementMetadata() returns other numbers than the element_id of results, which '
    'always counts from 0.',
    _BUILD_AGAIN,
)
ELEMENTS_KINDS = _rule(
    'elements-kinds',
    Severity.WARNING,
    'there are tables of one kind of elements',
    'Opened. elementMetadata() returns the first it finds of greyordinates, fixels and voxels, '
    'whatever the scalars are of.',
    'Remove the table that is not of these scalars.',
)
ELEMENTS_COMPANION = _rule(
    'elements-companion',
    Severity.WARNING,
    'elements that several tables tell of have all of them',
    'Opened, and analysed. Where an element is, the file does not say.',
    _BUILD_AGAIN,
)

# Results.

NO_RESULTS = _rule(
    'results-missing',
    Severity.ERROR,
    'an analysis has a results_matrix: numbers, two-dimensional, not empty',
    'ModelArray() opens the file, and stops if it is asked for this analysis.',
    _RUN_AGAIN,
)
RESULTS_UNNAMED = _rule(
    'results-unnamed',
    Severity.ERROR,
    'results have names',
    'ModelArray() opens the file, and stops if it is asked for this analysis: the run was killed, '
    'names are written last.',
    _RUN_AGAIN,
)
RESULTS_COUNT = _rule(
    'results-count',
    Severity.ERROR,
    'results_matrix has as many rows as names, as h5py sees it',
    'ModelArray() opens the file, and stops if it is asked for this analysis.',
    _RUN_AGAIN,
)
RESULTS_TURNED = _rule(
    'results-turned',
    Severity.WARNING,
    'results_matrix has as many rows as names, as h5py sees it',
    'Read: ModelArray turns the matrix, since only so it has as many results as names. Exporting '
    'refuses: modelarrayio does not turn it.',
    'Write the analysis again with writeResults(), or turn the matrix in h5py.',
)
RESULTS_CONTRADICT = _rule(
    'results-contradict',
    Severity.WARNING,
    'the names of results in an attribute, if there is one, are those of the dataset',
    'ModelArray takes those of the attribute, without a word, and so does exporting.',
    'Remove the one that is wrong.',
)
RESULTS_BLANK = _rule(
    'results-blank',
    Severity.WARNING,
    'no result has a blank name',
    'Read; the result cannot be asked for by name. Its image is called component002, by its place.',
    'Name it in R, in what is written.',
)
RESULTS_COLLIDE = _rule(
    'results-collide',
    Severity.WARNING,
    'names of results differ in more than case, blanks and slashes',
    'Read. Exporting refuses: their images would be one file.',
    'Rename a term of the model, and run it again.',
)
NO_IDS = _rule(
    'results-without-ids',
    Severity.WARNING,
    'the first result is element_id',
    'Read. Rows are taken for all elements in their order.',
    'Keep the column element_id in what is written.',
)
RESULTS_ROWS = _rule(
    'results-rows',
    Severity.ERROR,
    'without element_id there is a result for each element',
    'Read. To which elements results belong, nobody can tell.',
    'Keep the column element_id in what is written.',
)
IDS_RANGE = _rule(
    'results-ids',
    Severity.ERROR,
    'element_id are whole numbers, from 0 to one less than there are elements',
    'Read, without a word. Exporting refuses: results belong to no element.',
    _RUN_AGAIN,
)
IDS_TWICE = _rule(
    'results-ids-twice',
    Severity.ERROR,
    'no element_id is there twice',
    'Read, without a word. Exporting refuses. Rows that a killed run never wrote all say 0.',
    _RUN_AGAIN,
)
LEVELS = _rule(
    'results-levels',
    Severity.WARNING,
    'lut_forcol<i> are strings, and i a result',
    'Ignored, or codes become numbers that are written as text.',
    _RUN_AGAIN,
)

# The cohort, where its CSV is given.

COHORT_COLUMN = _rule(
    'cohort-column',
    Severity.ERROR,
    'the phenotypes have a column source_file',
    "The analysis stops: \"Did not find column 'source_file' in argument 'phenotypes'\".",
    _THE_SAME_CSV,
)
COHORT_MARK = _rule(
    'cohort-mark',
    Severity.WARNING,
    'the CSV does not begin with a byte order mark',
    'read.csv() drops it in a locale of UTF-8. In the locale C, that of many clusters, it makes '
    '"X..." of it: the first column is X...source_file, for one, and not found.',
    'Save it without the mark, or read it with read.csv(..., fileEncoding = "UTF-8-BOM").',
)
COHORT_SOURCES = _rule(
    'cohort-sources',
    Severity.ERROR,
    'source_file has the names in the file, all of them and to the letter',
    'The analysis stops: "has different element(s) than the source file list", or "The length of '
    'the source file list … is not the same".',
    _THE_SAME_CSV,
)
COHORT_TWICE = _rule(
    'cohort-twice',
    Severity.ERROR,
    'every source_file is there once',
    'The analysis stops: "are not unique! Please investigate and remove the duplicated one".',
    'Remove one of the rows.',
)
COHORT_SCALAR = _rule(
    'cohort-scalar',
    Severity.ERROR,
    "no column of the phenotypes has a scalar's name",
    'The analysis stops: "Column name collision between phenotypes and scalar names".',
    'Rename the column, or leave it out in R.',
)
COHORT_MIXED = _rule(
    'cohort-mixed',
    Severity.NOTE,
    'the phenotypes have the rows of one scalar',
    'The analysis stops if all rows are given.',
    'In R: phenotypes[phenotypes$scalar_name == "FA", ]',
)

#: All of them, in the order of this file.
RULES = tuple(_KEPT)
