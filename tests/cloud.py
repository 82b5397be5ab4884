"""Servers on this machine that stand for those on the network: S3, and one that fails as told."""

import contextlib
import http.server
import logging
import threading
import time
import urllib.parse

import boto3
from moto.server import ThreadedMotoServer

#: What the client finds in the environment; it looks for nothing else.
ENVIRONMENT = {
    'AWS_ACCESS_KEY_ID': 'testing',
    'AWS_SECRET_ACCESS_KEY': 'testing',
    'AWS_DEFAULT_REGION': 'us-east-1',
    'AWS_EC2_METADATA_DISABLED': 'true',
    'AWS_CONFIG_FILE': '/nowhere',
    'AWS_SHARED_CREDENTIALS_FILE': '/nowhere',
    'NO_PROXY': '127.0.0.1,localhost',
}


class Bucket:
    """A bucket of a real S3 server: moto's, on this machine."""

    def __init__(self, endpoint, name):
        self.endpoint, self.name = endpoint, name
        self._client = boto3.client(
            's3',
            endpoint_url=endpoint,
            region_name=ENVIRONMENT['AWS_DEFAULT_REGION'],
            aws_access_key_id=ENVIRONMENT['AWS_ACCESS_KEY_ID'],
            aws_secret_access_key=ENVIRONMENT['AWS_SECRET_ACCESS_KEY'],
        )
        self._client.create_bucket(Bucket=name)

    def put(self, key, data, acl='private'):
        """Store a file; its address."""
        self._client.put_object(Bucket=self.name, Key=key, Body=data, ACL=acl)
        return f's3://{self.name}/{key}'

    def delete(self, key):
        """Remove a file."""
        self._client.delete_object(Bucket=self.name, Key=key)

    def upload(self, folder, prefix='', acl='private'):
        """Store all files below a folder; their addresses by their paths from there."""
        names = [
            path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file()
        ]
        return {name: self.put(prefix + name, (folder / name).read_bytes(), acl) for name in names}


@contextlib.contextmanager
def s3_server():
    """A real S3 server; its address."""
    logging.getLogger('werkzeug').disabled = True
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f'http://{host}:{port}'
    finally:
        server.stop()


class Faulty(http.server.BaseHTTPRequestHandler):
    """A web server of a folder that knows ranges, and fails as the first part of a path says.

    ``/404/FA.nii.gz`` is answered with that code; ``/cut/…`` with half of what was asked for,
    ``/slow/…`` after a second, ``/rangeless/…`` with the whole file, ``/changing/…`` with a file
    that is another each time it is asked for, ``/2-503/…`` and ``/2-cut/…`` so two times, and then
    well. Any other first part is that of a file that is well.
    """

    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        """Say nothing."""

    def do_HEAD(self):
        """Answer without a body."""
        self._answer(self._fault('HEAD'), body=False)

    def do_GET(self):
        """Answer with a body."""
        self._answer(self._fault('GET'), body=True)

    def _fault(self, method):
        self.server.requests.append((method, self.path, self.headers.get('Range')))
        fault = self.path.partition('?')[0].split('/')[1]
        times, _, transient = fault.rpartition('-')
        if not times:
            return fault
        met = [one for one in self.server.requests if one[:2] == (method, self.path)]
        return transient if len(met) <= int(times) else 'well'

    def _answer(self, fault, *, body):
        name = urllib.parse.unquote(self.path.partition('?')[0])
        file = self.server.folder.joinpath(*name.split('/')[2:])
        if fault.isdecimal() or not file.is_file():
            self.send_error(int(fault) if fault.isdecimal() else 404)
            return
        if fault == 'slow' and body:
            time.sleep(1)
        whole = file.read_bytes()
        data, span = whole, self.headers.get('Range')
        if span and fault != 'rangeless':
            first, last = map(int, span.removeprefix('bytes=').split('-'))
            data = whole[first : last + 1]
        self.send_response(200 if data is whole else 206)
        self.send_header('Content-Length', str(len(data)))
        if data is not whole:
            self.send_header('Content-Range', f'bytes {first}-{last}/{len(whole)}')
        age = len(self.server.requests) if fault == 'changing' else 0
        self.send_header('Last-Modified', self.date_time_string(int(file.stat().st_mtime) + age))
        self.end_headers()
        if body:
            self.close_connection = self.close_connection or fault == 'cut'
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data[: len(data) // 2] if fault == 'cut' else data)


@contextlib.contextmanager
def web_server(folder):
    """A web server of a folder, see :class:`Faulty`; its address, and its requests so far."""
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Faulty)
    server.folder, server.requests = folder, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}', server.requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
