"""Images behind addresses: a real S3 server on this machine, and a web server that fails."""

import csv
import json
import os
import re
import subprocess
import sys

import cloud
import h5py
import numpy as np
import pytest
import trees
from images import expected_rows, group_mask, save, subject_map, write_cohort, write_csv
from stores import write_results
from tools import run_on_full_disk
from vertices import N_ELEMENTS, save_pair

from modelarrayio_bids.cli import bids_app
from modelarrayio_bids.cli.files import main
from modelarrayio_bids.interfaces import ToModelArray
from modelarrayio_bids.runtime.unfinished import Unfinished

COMMAND = [sys.executable, '-m', 'modelarrayio_bids.cli.files']
# Starts a program as if a module were not installed.
WITHOUT = """
import sys
sys.modules[sys.argv.pop(1)] = None
from modelarrayio_bids.cli.files import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope='module')
def s3():
    with cloud.s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder; in ``data``, three images with masks of their own."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(('AWS_', 'MODELARRAYIO_'))]:
        monkeypatch.delenv(name)
    for name, value in cloud.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    # Those that options set are gone after the test too.
    monkeypatch.setenv('MODELARRAYIO_CACHE_DIR', '')
    monkeypatch.setenv('MODELARRAYIO_S3_WORKERS', '')
    write_cohort(tmp_path / 'data')
    return tmp_path


@pytest.fixture
def bucket(folder, s3, monkeypatch, request):
    monkeypatch.setenv('AWS_ENDPOINT_URL', s3)
    return cloud.Bucket(s3, re.sub('[^a-z]+', '-', request.node.name)[:60].strip('-'))


@pytest.fixture
def web(folder):
    with cloud.web_server(folder / 'data') as (address, requests):
        yield address, requests


def cohort_at(folder, root, rows=slice(None), name='cohort.csv'):
    """The cohort of the data with all its paths below an address."""
    with open(folder / 'data' / 'cohort.csv', newline='') as file:
        header, *found = csv.reader(file)
    here = str(folder / 'data')
    return write_csv(
        folder / name, header, [[cell.replace(here, root) for cell in row] for row in found[rows]]
    )


def build(*more, cohort='cohort.csv', mask='data/group_mask.nii.gz', output='x.h5'):
    words = ['--mask', mask, '--cohort-file', str(cohort), '--output', output]
    return main(['to-modelarray', *words, *more])


def matrix(path='x.h5'):
    with h5py.File(path) as file:
        names = [name.decode() for name in file['scalars/FA/column_names'][()]]
        return names, file['scalars/FA/values'][()]


def said(capsys):
    """The one line a failed command ends with."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if ': error: ' in line]
    return line.partition(': error: ')[2]


def test_images_and_masks_in_a_bucket(folder, bucket, capsys):
    there = bucket.upload(folder / 'data', 'study/')
    cohort_at(folder, f's3://{bucket.name}/study')
    assert build(mask=there['group_mask.nii.gz']) == 0
    names, values = matrix()
    # As they are written in the cohort: R looks them up by this text.
    assert names == [there[f'FA/sub-0{number}_FA.nii.gz'] for number in range(3)]
    np.testing.assert_array_equal(values, expected_rows())
    assert main(['info', 'x.h5']) == 0
    assert (
        '  0 unchanged since the file was made; remote, not looked up: 3' in capsys.readouterr().out
    )


def test_the_table_and_everything_else_in_a_bucket(folder, bucket):
    there = bucket.upload(folder / 'data', 'study/')
    key = bucket.put(
        'study/remote.csv', cohort_at(folder, f's3://{bucket.name}/study').read_bytes()
    )
    assert build('--s3-workers', '2', cohort=key, mask=there['group_mask.nii.gz']) == 0
    np.testing.assert_array_equal(matrix()[1], expected_rows())


def test_many_readers_share_a_client(folder, bucket, monkeypatch):
    """Each client would ask for credentials of its own."""
    bucket.upload(folder / 'data')
    for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
        monkeypatch.delenv(name)
    key = {'Version': 1, 'AccessKeyId': 'testing', 'SecretAccessKey': 'testing'}
    (folder / 'key.json').write_text(json.dumps(key))
    ask = folder / 'ask.sh'
    ask.write_text(f'echo asked >> {folder}/asked.txt\ncat {folder}/key.json\n')
    (folder / 'config').write_text(f'[default]\ncredential_process = sh {ask}\n')
    monkeypatch.setenv('AWS_CONFIG_FILE', str(folder / 'config'))
    words = ['--mask', 'data/group_mask.nii.gz', '--output', 'x.h5', '--s3-workers', '64']
    cohort = cohort_at(folder, f's3://{bucket.name}')
    subprocess.run([*COMMAND, 'to-modelarray', '--cohort-file', cohort, *words], check=True)
    assert (folder / 'asked.txt').read_text().split() == ['asked']


def test_interfaces_of_nipype_take_addresses(folder, bucket):
    there = bucket.upload(folder / 'data')
    table = bucket.put('remote.csv', cohort_at(folder, f's3://{bucket.name}').read_bytes())
    ToModelArray(cohort_file=table, in_mask=there['group_mask.nii.gz']).run()
    np.testing.assert_array_equal(matrix('modelarray.h5')[1], expected_rows())


def test_more_images_of_a_bucket(folder, bucket, capsys):
    bucket.upload(folder / 'data')
    root = f's3://{bucket.name}'
    cohort_at(folder, root)
    assert build(output='whole.h5') == 0
    cohort_at(folder, root, slice(2))
    cohort_at(folder, root, slice(2, None), 'more.csv')
    assert build() == 0
    assert main(['append', '--cohort-file', 'more.csv', '--output', 'x.h5']) == 0
    for found, expected in zip(matrix(), matrix('whole.h5'), strict=True):
        np.testing.assert_array_equal(found, expected)
    # Images twice are found by their addresses; nothing is read for that.
    assert main(['append', '--cohort-file', 'more.csv', '--output', 'x.h5']) == 65
    assert 'holds 1 of the new sources of FA already' in said(capsys)


def test_names_that_are_odd_in_a_bucket(folder, bucket):
    # Keys are any text: empty parts, blanks, plus and hash signs, percent codes, other letters.
    odd = 'study//a b+c#d%20é/../sub-00_FA.nii.gz'
    image = (folder / 'data' / 'FA' / 'sub-00_FA.nii.gz').read_bytes()
    mask = folder / 'data' / 'masks' / 'sub-00_mask.nii.gz'
    header = ['scalar_name', 'source_file', 'source_mask_file']
    write_csv(folder / 'cohort.csv', header, [['FA', bucket.put(odd, image), str(mask)]])
    assert build() == 0
    names, values = matrix()
    assert names == [f's3://{bucket.name}/{odd}']
    np.testing.assert_array_equal(values, expected_rows(1))


def test_a_cache_that_is_a_file_is_named(folder, bucket, capsys):
    bucket.upload(folder / 'data')
    cohort_at(folder, f's3://{bucket.name}')
    (folder / 'kept').write_text('')
    assert build('--cache-dir', 'kept') == 73
    assert f'{folder}/kept/' in capsys.readouterr().err


def test_a_cache_on_a_full_disk(folder, bucket):
    there = bucket.upload(folder / 'data')
    cohort_at(folder, f's3://{bucket.name}')
    words = ['--mask', there['group_mask.nii.gz'], '--cohort-file', 'cohort.csv']
    done = run_on_full_disk([*COMMAND, 'to-modelarray', *words, '--cache-dir', 'kept'], 64)
    assert done.returncode == 74
    (line,) = [line for line in done.stderr.splitlines() if ': error: ' in line]
    assert 'group_mask.nii.gz: could not be written (File too large). Free some space.' in line
    assert not list((folder / 'kept').iterdir())


def test_what_a_killed_run_left_in_a_cache_is_removed(folder, bucket):
    bucket.upload(folder / 'data')
    cohort_at(folder, f's3://{bucket.name}')
    (folder / 'kept').mkdir()
    unfinished = Unfinished(folder / 'kept' / 'sub-00_FA.nii.gz')
    unfinished.release()
    assert build('--cache-dir', 'kept') == 0
    assert not unfinished.path.exists()


def test_a_bucket_that_may_not_be_listed(folder, web, monkeypatch, capsys):
    # The web server's fault stands where the name of a bucket does.
    monkeypatch.setenv('AWS_ENDPOINT_URL', web[0])
    assert group('s3://403/study', folder / 'out') == 66
    message = said(capsys)
    assert message.startswith('s3://403/study: cannot be listed: access is denied (Forbidden).')
    assert message.endswith('name them in a cohort CSV, for to-modelarray.')


def test_pointers_in_a_bucket(folder, bucket, capsys):
    bucket.upload(folder / 'data')
    bucket.put('FA/sub-01_FA.nii.gz', b'/annex/objects/MD5E-s9--0123.nii.gz\n')
    cohort_at(folder, f's3://{bucket.name}')
    assert build() == 66
    assert said(capsys) == (
        f's3://{bucket.name}/FA/sub-01_FA.nii.gz: holds the key of its content in git-annex, '
        'which is not here. Give the address of its content, or get the dataset and give files of '
        'it.'
    )


def test_a_hash_sign_of_a_web_address(folder, web, capsys):
    image = folder / 'data' / 'FA' / 'sub-00_FA.nii.gz'
    image.rename(image.with_name('sub#00_FA.nii.gz'))
    cohort = cohort_at(folder, f'{web[0]}/well', slice(1))
    text = cohort.read_text()
    cohort.write_text(text.replace('sub-00_FA', 'sub#00_FA'))
    assert build() == 66
    assert said(capsys).endswith('no such file. Check the address. Write a # in a name as %23.')
    cohort.write_text(text.replace('sub-00_FA', 'sub%2300_FA'))
    assert build() == 0
    np.testing.assert_array_equal(matrix()[1], expected_rows(1))


@pytest.mark.parametrize('number', ['0', '-1', 'two'])
def test_a_number_of_readers_that_is_none(folder, capsys, number):
    with pytest.raises(SystemExit) as ended:
        build(f'--s3-workers={number}')
    assert ended.value.code == 64
    assert said(capsys).endswith(f'{number!r} is not a number from 1')


def test_a_cache_takes_names_of_any_length(folder, bucket):
    # 255 bytes are the longest name of most file systems; these letters have three each.
    key = f'{"脑" * 250}_FA.nii.gz'
    image = (folder / 'data' / 'FA' / 'sub-00_FA.nii.gz').read_bytes()
    mask = folder / 'data' / 'masks' / 'sub-00_mask.nii.gz'
    header = ['scalar_name', 'source_file', 'source_mask_file']
    write_csv(folder / 'cohort.csv', header, [['FA', bucket.put(key, image), str(mask)]])
    assert build('--cache-dir', 'kept') == 0
    np.testing.assert_array_equal(matrix()[1], expected_rows(1))
    (kept,) = (folder / 'kept').iterdir()
    assert kept.name.endswith('脑_FA.nii.gz')


def test_schemes_are_case_insensitive(folder, bucket):
    # RFC 3986, section 3.1.
    there = bucket.upload(folder / 'data')
    cohort_at(folder, f'S3://{bucket.name}')
    assert build(mask=there['group_mask.nii.gz'].replace('s3://', 'S3://')) == 0
    np.testing.assert_array_equal(matrix()[1], expected_rows())


@pytest.mark.parametrize(
    ('words', 'option'),
    [
        (['to-modelarray', '--cohort-file', 'cohort.csv', '--output', 'ADDRESS'], '--output'),
        (['to-modelarray', '--cohort-file', 'cohort.csv', '--cache-dir', 'ADDRESS'], '--cache-dir'),
        (['make-cohort', 'data', '--output', 'ADDRESS'], '--output'),
        (['append', '--cohort-file', 'cohort.csv', '--output', 'ADDRESS'], '--output'),
        (['info', 'ADDRESS'], 'FILE'),
        (['validate', 'ADDRESS'], 'FILE'),
        (['fit', 'ADDRESS', '--formula', '~ age'], 'FILE'),
        (['export-results', '--input-hdf5', 'x.h5', '--output-dir', 'ADDRESS'], '--output-dir'),
        (['convert', 'x.h5', 'ADDRESS'], 'OUTPUT'),
    ],
)
@pytest.mark.parametrize('address', ['s3://bucket/x', 'gs://bucket/x', 'https://host/x'])
def test_what_must_be_on_a_disk_is_no_address(folder, capsys, words, option, address):
    with pytest.raises(SystemExit) as ended:
        main([address if word == 'ADDRESS' else word for word in words])
    assert ended.value.code == 64
    message = said(capsys)
    assert message.startswith(f'argument {option}')
    assert message.endswith(f'{address} is an address: give a path on a disk')
    assert sorted(path.name for path in folder.iterdir()) == ['data']


@pytest.mark.parametrize('words', [['s3://b/out', 'group'], ['out', 'group', '-w', 's3://b/w']])
def test_the_app_writes_to_a_disk_alone(folder, capsys, words):
    with pytest.raises(SystemExit) as ended:
        bids_app.main(['s3://bucket/study', *words])
    assert ended.value.code == 64
    assert said(capsys).endswith('is an address: give a path on a disk')
    assert sorted(path.name for path in folder.iterdir()) == ['data']


def test_a_cache_is_used_again_and_follows_the_files(folder, bucket):
    bucket.upload(folder / 'data')
    cohort_at(folder, f's3://{bucket.name}')
    assert build('--cache-dir', 'kept') == 0
    kept = {path.name: path.stat().st_mtime_ns for path in (folder / 'kept').iterdir()}
    assert len(kept) == 6
    before = {path.name: path.stat().st_ino for path in (folder / 'kept').iterdir()}
    assert build('--cache-dir', 'kept', output='again.h5') == 0
    assert {path.name: path.stat().st_ino for path in (folder / 'kept').iterdir()} == before
    other = (folder / 'data' / 'FA' / 'sub-01_FA.nii.gz').read_bytes()
    bucket.put('FA/sub-00_FA.nii.gz', other + bytes(8))
    assert build('--cache-dir', 'kept', output='changed.h5') == 0
    expected = subject_map(1)[group_mask() > 0]
    expected[np.isnan(expected_rows()[0])] = np.nan
    np.testing.assert_array_equal(matrix('changed.h5')[1][0], expected)
    assert len(list((folder / 'kept').iterdir())) == 6


def test_anonymous_access_is_that_of_the_predecessor(folder, bucket, monkeypatch, capsys):
    bucket.upload(folder / 'data')
    cohort_at(folder, f's3://{bucket.name}')
    monkeypatch.delenv('AWS_ACCESS_KEY_ID')
    assert build() == 64
    message = said(capsys)
    assert f's3://{bucket.name}/FA/sub-00_FA.nii.gz: needs credentials' in message
    assert 'MODELARRAYIO_S3_ANON=1' in message
    monkeypatch.setenv('MODELARRAYIO_S3_ANON', '1')
    assert build() == 66
    (line,) = [line for line in capsys.readouterr().err.splitlines() if 'sub-00_FA' in line]
    assert 'access is denied (Forbidden). Check your credentials' in line
    bucket.upload(folder / 'data', acl='public-read')
    assert build() == 0
    np.testing.assert_array_equal(matrix()[1], expected_rows())


def test_what_is_not_in_a_bucket(folder, bucket, capsys):
    bucket.upload(folder / 'data')
    bucket.delete('FA/sub-01_FA.nii.gz')
    cohort_at(folder, f's3://{bucket.name}')
    assert build() == 66
    assert (
        said(capsys) == f's3://{bucket.name}/FA/sub-01_FA.nii.gz: no such file. Check the address.'
    )
    cohort_at(folder, 's3://no-such-bucket-here')
    assert build() == 66
    assert not list(folder.glob('*.h5*'))


@pytest.mark.parametrize('module', ['fsspec', 's3fs'])
def test_the_extra_is_named_where_it_is_missing(folder, module):
    cohort_at(folder, 's3://bucket')
    words = ['to-modelarray', '--mask', 'data/group_mask.nii.gz', '--cohort-file', 'cohort.csv']
    command = [sys.executable, '-c', WITHOUT, module, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 64
    (line,) = [line for line in done.stderr.splitlines() if 'error: ' in line]
    assert f'FA/sub-00_FA.nii.gz: is a remote file, and {module} is not installed' in line
    assert "pip install 'modelarrayio-bids[s3]'" in line


def test_images_of_a_web_server(folder, web):
    address, requests = web
    cohort_at(folder, f'{address}/well')
    assert build('--nprocs', '1', '--s3-workers', '1') == 0
    names, values = matrix()
    assert names[0] == f'{address}/well/FA/sub-00_FA.nii.gz'
    np.testing.assert_array_equal(values, expected_rows())
    # Asked once for what it is, and never for all of a file without saying which bytes.
    image = '/well/FA/sub-00_FA.nii.gz'
    assert [method for method, path, _ in requests if path == image].count('HEAD') == 1
    assert all(span for method, _, span in requests if method == 'GET')


def test_an_address_with_a_query(folder, web):
    address, _ = web
    cohort = cohort_at(folder, f'{address}/well')
    text = cohort.read_text().replace('_FA.nii.gz', '_FA.nii.gz?X-Amz-Expires=60&to=http://a/b')
    cohort.write_text(text)
    assert build() == 0
    assert matrix()[0][0].endswith('sub-00_FA.nii.gz?X-Amz-Expires=60&to=http://a/b')
    np.testing.assert_array_equal(matrix()[1], expected_rows())


SIGNED = '?X-Amz-Credential=HIDDEN&part=7&X-Amz-Signature=HIDDEN'


@pytest.mark.parametrize('form', ['text', 'json'])
@pytest.mark.parametrize('fault', ['404', '403', '503'])
def test_errors_do_not_tell_what_gives_access(folder, web, monkeypatch, capsys, fault, form):
    monkeypatch.setenv('MODELARRAYIO_TIMEOUT', '0.2')
    root = web[0].replace('http://', 'http://me:HIDDEN@')
    cohort = cohort_at(folder, f'{root}/{fault}')
    cohort.write_text(cohort.read_text().replace('_FA.nii.gz', f'_FA.nii.gz{SIGNED}'))
    assert build('--log-format', form) != 0
    message = capsys.readouterr().err
    assert 'HIDDEN' not in message
    assert 'sub-00_FA.nii.gz?X-Amz-Credential=' in message
    assert '&part=7&' in message


def test_no_output_tells_what_gives_access(folder, web, study, monkeypatch, capfd):
    (folder / 'data' / 'people.tsv').write_bytes((study / 'participants.tsv').read_bytes())
    root = web[0].replace('http://', 'http://me:HIDDEN@')
    words = ['--phenotypes', f'{root}/well/people.tsv{SIGNED}', '--scalars', 'cbf']
    arguments = [str(study), 'out', 'group', *words]
    monkeypatch.setattr(sys, 'argv', ['modelarrayio-bids', *arguments])
    assert bids_app.main(arguments) == 0
    assert 'HIDDEN' not in ''.join(capfd.readouterr())
    files = [path for path in (folder / 'out').rglob('*') if path.is_file()]
    assert not [path for path in files if b'HIDDEN' in path.read_bytes()]


@pytest.mark.parametrize('fault', ['rangeless', '2-503', '2-cut', '1-slow'])
def test_what_passes_is_asked_for_again(folder, web, monkeypatch, fault):
    monkeypatch.setenv('MODELARRAYIO_TIMEOUT', '0.4')
    cohort_at(folder, f'{web[0]}/{fault}')
    assert build() == 0
    np.testing.assert_array_equal(matrix()[1], expected_rows())


@pytest.mark.parametrize(
    ('fault', 'says', 'code'),
    [
        ('404', 'no such file. Check the address.', 66),
        ('403', 'access is denied (403 Forbidden). Check that you may read it', 66),
        ('400', 'cannot be read (400 Bad Request)', 66),
        ('503', 'did not come in 4 attempts (503 Service Unavailable). Check the network', 75),
        ('cut', 'did not come in 4 attempts (', 75),
        ('slow', 'did not come in 4 attempts (', 75),
    ],
)
def test_what_does_not_come_is_one_line_and_nothing_is_left(
    folder, web, monkeypatch, capsys, fault, says, code
):
    monkeypatch.setenv('MODELARRAYIO_TIMEOUT', '0.2')
    address, _ = web
    cohort = cohort_at(folder, f'{address}/well')
    image = f'{address}/{fault}/FA/sub-01_FA.nii.gz'
    cohort.write_text(cohort.read_text().replace(f'{address}/well/FA/sub-01_FA.nii.gz', image))
    h5py.File(folder / 'x.h5', 'w').close()
    before = (folder / 'x.h5').read_bytes()
    assert build('--cache-dir', 'kept') == code
    assert said(capsys).startswith(f'{image}: {says}')
    assert (folder / 'x.h5').read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ['cohort.csv', 'data', 'kept', 'x.h5']
    assert not [path for path in (folder / 'kept').iterdir() if 'sub-01_FA' in path.name]


CHANGED = 'was changed while it was read. Run again when it is complete.'


def test_copies_are_of_one_version_of_a_file(folder, web, capsys):
    cohort_at(folder, f'{web[0]}/changing')
    assert build('--cache-dir', 'kept') == 75
    assert said(capsys).endswith(CHANGED)
    assert not list((folder / 'kept').iterdir())


def test_images_of_several_requests_are_of_one_version(folder, web, capsys):
    # 352 bytes more than one request asks for.
    save(folder / 'data' / 'large.nii', np.ones((256, 256, 256), np.uint8))
    mask = np.zeros((256, 256, 256), np.uint8)
    mask[:2] = 1
    save(folder / 'mask.nii.gz', mask)
    for fault, code in (('well', 0), ('changing', 75)):
        image = f'{web[0]}/{fault}/large.nii'
        header = ['scalar_name', 'source_file', 'source_mask_file']
        write_csv(folder / 'cohort.csv', header, [['FA', image, 'mask.nii.gz']])
        assert build(mask='mask.nii.gz', output=f'{fault}.h5') == code
    assert said(capsys) == f'{image}: {CHANGED}'
    assert not list(folder.glob('changing*'))


def test_a_server_that_is_not_there(folder, capsys, monkeypatch):
    monkeypatch.setenv('MODELARRAYIO_TIMEOUT', '0.2')
    with cloud.web_server(folder) as (address, _):
        pass
    cohort_at(folder, address)
    assert build() == 75
    assert 'did not come in 4 attempts' in said(capsys)
    monkeypatch.setenv('AWS_ENDPOINT_URL', address)
    cohort_at(folder, 's3://bucket')
    assert build() == 75
    assert 's3://bucket/FA/sub-00_FA.nii.gz: did not come in 4 attempts' in said(capsys)


def test_a_time_that_is_none(folder, web, monkeypatch, capsys):
    monkeypatch.setenv('MODELARRAYIO_TIMEOUT', 'soon')
    cohort_at(folder, f'{web[0]}/well')
    assert build() == 64
    assert "MODELARRAYIO_TIMEOUT is 'soon'. Give seconds above 0" in said(capsys)


def test_phenotypes_and_template_cohort_in_a_bucket(folder, bucket):
    there = bucket.upload(folder / 'data')
    cohort_at(folder, f's3://{bucket.name}')
    table = bucket.put('remote.csv', (folder / 'cohort.csv').read_bytes())
    assert build() == 0
    words = ['--formula', '~ age', '--analysis-name', 'mylm', '--phenotypes', table]
    assert main(['fit', 'x.h5', *words, '--num-subj-lthr-abs', '1']) == 0
    words = ['--analysis-name', 'mylm', '--input-hdf5', 'x.h5', '--output-dir', 'maps']
    assert main(['export-results', *words, '--cohort-file', table]) == 0
    example = ['--example-file', there['FA/sub-00_FA.nii.gz'], '--mask', 'data/group_mask.nii.gz']
    assert main(['export-results', *words, *example]) == 0


def test_results_of_remote_images_are_exported_without_the_network(folder, bucket, monkeypatch):
    bucket.upload(folder / 'data')
    cohort_at(folder, f's3://{bucket.name}')
    assert build() == 0
    write_results(folder / 'x.h5', 'mylm', ['age.p.value'], np.full((24, 1), 0.5))
    monkeypatch.setenv('AWS_ENDPOINT_URL', 'http://127.0.0.1:9')
    words = ['--analysis-name', 'mylm', '--input-hdf5', 'x.h5', '--output-dir', 'maps']
    assert main(['export-results', *words, '--cohort-file', 'cohort.csv']) == 0


@pytest.mark.parametrize('pattern', ['{}/{{hemi}}.thickness.mgh', '{}_hemi-{{hemi}}.shape.gii'])
def test_pairs_of_surfaces_in_a_bucket(folder, bucket, pattern):
    values = np.random.default_rng(3).normal(size=(2, N_ELEMENTS)).astype(np.float32)
    pairs = [save_pair(folder / 'pairs', pattern.format(n), row) for n, row in enumerate(values)]
    there = bucket.upload(folder / 'pairs')
    names = [there[path.relative_to(folder / 'pairs').as_posix()] for path in pairs]
    rows = [['thickness', name] for name in names]
    write_csv(folder / 'cohort.csv', ['scalar_name', 'source_file'], rows)
    words = ['to-modelarray', '--cohort-file', 'cohort.csv', '--output', 'x.h5']
    assert main(words) == 0
    with h5py.File('x.h5') as file:
        np.testing.assert_array_equal(file['scalars/thickness/values'][()], values)
    assert main(['append', *words[1:]]) == 65


SCALARS = ['cbf', 'fd', 'thickness', 'pearsoncorrelation']


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    return trees.write_demo(tmp_path_factory.mktemp('study') / 'study', trees.people(3))


def group(root, output, *more):
    return bids_app.main([str(root), str(output), 'group', '--no-report', *more])


def stores(output):
    """Sources and values of all scalars in an output folder."""
    found = {}
    for path in sorted(output.rglob('*_modelarray.h5')):
        with h5py.File(path) as file:
            for name, scalar in file['scalars'].items():
                texts = [text.decode() for text in scalar['column_names'][()]]
                found[name] = texts, scalar['values'][()]
    return found


def test_a_dataset_in_a_bucket_is_built_as_one_on_a_disk(folder, bucket, study):
    bucket.upload(study, 'data/study/')
    root = f's3://{bucket.name}/data/study'
    assert group(study, folder / 'local', '--scalars', *SCALARS) == 0
    assert group(root, folder / 'out', '--scalars', *SCALARS) == 0
    local, remote = stores(folder / 'local'), stores(folder / 'out')
    assert list(remote) == sorted(SCALARS)
    for name, (sources, values) in local.items():
        assert remote[name][0] == [source.replace(str(study), root) for source in sources]
        np.testing.assert_array_equal(remote[name][1], values)
    for path in (folder / 'local').rglob('*_cohort.csv'):
        expected = path.read_text().replace(str(study), root)
        assert (folder / 'out' / path.relative_to(folder / 'local')).read_text() == expected
    # What was made is known again: by the address, the size and the time of each image.
    before = {path: path.stat().st_ino for path in (folder / 'out').rglob('*.h5')}
    assert group(root, folder / 'out', '--scalars', *SCALARS) == 0
    assert {path: path.stat().st_ino for path in (folder / 'out').rglob('*.h5')} == before


def test_derivatives_in_a_bucket_with_people_on_a_disk(folder, bucket, study):
    bucket.upload(study / 'derivatives' / 'aslprep')
    words = ['-d', f'aslprep=s3://{bucket.name}', '--scalars', 'cbf']
    assert group(study, folder / 'out', *words) == 0
    (names, _), *_ = stores(folder / 'out').values()
    assert all(name.startswith(f's3://{bucket.name}/sub-') for name in names)
    text = next((folder / 'out').rglob('*_cohort.csv')).read_text()
    assert {'age', 'sex'} <= set(text.splitlines()[0].split(','))


def test_patterns_of_paths_in_a_bucket(folder, bucket, capsys):
    bucket.upload(folder / 'data', 'study/')
    words = [
        '--images',
        'FA=FA/{participant}_FA.nii.gz',
        '--masks',
        'masks/{participant}_mask.nii.gz',
    ]
    root = f's3://{bucket.name}/study/'
    assert main(['make-cohort', root, *words, '--output', 'cohort.csv']) == 0
    assert build() == 0
    names, values = matrix()
    assert names == [f's3://{bucket.name}/study/FA/sub-0{number}_FA.nii.gz' for number in range(3)]
    np.testing.assert_array_equal(values, expected_rows())


def test_folders_that_are_not_there(folder, bucket, web, capsys):
    assert group(f's3://{bucket.name}/nothing', folder / 'out') == 66
    assert said(capsys) == (
        f's3://{bucket.name}/nothing: no such folder. Give the BIDS dataset first.'
    )
    assert group(web[0], folder / 'out') == 64
    assert said(capsys).endswith('cannot be listed. Give folders at s3://, and files here.')
    assert not (folder / 'out').exists()
