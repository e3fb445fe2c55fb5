"""What Python programs do: objects and calls, dictionaries, strings, lists, whole and floating-point numbers."""


class Vertex:
    def __init__(self, name):
        self.name = name
        self.edges = {}

    def connect(self, other, weight):
        self.edges[other.name] = weight


def graph(size):
    vertices = {f"v{i}": Vertex(f"v{i}") for i in range(size)}
    seed = 12345
    for i in range(size):
        for _ in range(4):
            seed = (seed * 1103515245 + 12345) % 2147483648
            vertices[f"v{i}"].connect(vertices[f"v{seed % size}"], seed % 97 + 1)
    return vertices


def distances(vertices, start):
    """Shortest paths by a bucket queue."""
    best = {start: 0}
    buckets = {0: [start]}
    at = 0
    while buckets:
        while at not in buckets:
            at += 1
        for name in buckets.pop(at):
            if best[name] < at:
                continue
            for other, weight in vertices[name].edges.items():
                length = at + weight
                if length < best.get(other, 1 << 30):
                    best[other] = length
                    buckets.setdefault(length, []).append(other)
    return sum(best.values())


def words(count):
    text = " ".join(f"word{(i * i) % 211}-{i % 13}" for i in range(count))
    counted = {}
    for word in text.split():
        left, _, right = word.partition("-")
        counted[left] = counted.get(left, 0) + int(right)
    return ",".join(f"{k}={v}" for k, v in sorted(counted.items())[:5])


def sieve(limit):
    flags = bytearray([1]) * limit
    for i in range(2, int(limit**0.5) + 1):
        if flags[i]:
            flags[i * i :: i] = bytes(len(range(i * i, limit, i)))
    return sum(flags) - 2


def mandelbrot(size):
    inside = 0
    for row in range(size):
        for column in range(size):
            c = complex(3.0 * column / size - 2.25, 3.0 * row / size - 1.5)
            z = 0j
            for _ in range(30):
                z = z * z + c
                if abs(z) > 2.0:
                    break
            else:
                inside += 1
    return inside


for turn in range(6):
    print(distances(graph(1500), "v0"), words(12000), sieve(200000), mandelbrot(60))
