"""What stands beside a bundle in a folder that a container is built from."""

__all__ = ["container_files"]

DOCKERFILE = """\
# A server of the bundle beside this file, without PyTorch.
#   docker build -t photos . && docker run -p 127.0.0.1:8000:8000 -v "$PWD/token:/run/secrets/token:ro" photos
# Foveal comes from wheels/ when a wheel of it is there, otherwise from the package index. A version that the index does
# not have is put there before the build, CHECKOUT being a checkout of Foveal:
#   pip wheel --no-deps -w wheels CHECKOUT
FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY wheels /wheels
RUN set -- /wheels/foveal-*.whl; [ -e "$1" ] || set -- foveal=={version}; \\
    pip install --no-cache-dir --find-links /wheels "$@" \\
    || {{ echo "Could not install $*. Is it in no package index? pip wheel --no-deps -w wheels CHECKOUT" >&2; exit 1; }}
RUN useradd --system --uid 10001 --no-create-home foveal
COPY bundle /{name}
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", \\
  "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["foveal", "serve", "--host", "0.0.0.0", "--token-file", "/run/secrets/token"]
CMD ["/{name}"]
"""
COMPOSE = """\
# pip wheel --no-deps -w wheels CHECKOUT   (a checkout of Foveal; not needed where a package index has {version} of it)
# openssl rand -hex 32 > token   (the user of the container, 10001, must be able to read it)
# docker compose up --build
services:
  foveal:
    build: .
    ports: ["127.0.0.1:8000:8000"]
    secrets: [token]
    read_only: true
    tmpfs: [/tmp]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: 2g
    stop_grace_period: 30s
    restart: unless-stopped
secrets:
  token:
    file: token
"""
IGNORED = "token\n"


def container_files(name: str, version: str) -> dict[str, str]:
    """Name to text: a Dockerfile, a compose file, what the build leaves out, and a place for wheels.

    Args:
        name: of the model, as the server calls it.
        version: of Foveal.
    """
    return {
        "Dockerfile": DOCKERFILE.format(name=name, version=version),
        "compose.yaml": COMPOSE.format(version=version),
        ".dockerignore": IGNORED,
        "wheels/.keep": "",
    }
