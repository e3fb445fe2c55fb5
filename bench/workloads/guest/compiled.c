/* What the compiler is measured with: a balanced tree, a hash table, an expression parser with an interpreter,
 * sorting and matrix arithmetic. It includes nothing and is compiled, never run. */
typedef unsigned long size_t;
void *malloc(size_t);
void free(void *);
int printf(const char *, ...);
double sqrt(double);

struct node {
  struct node *left, *right;
  long key, value;
  int height;
};

static int height(const struct node *n) { return n ? n->height : 0; }
static int larger(int a, int b) { return a > b ? a : b; }
static void measure(struct node *n) { n->height = larger(height(n->left), height(n->right)) + 1; }

static struct node *rotate_right(struct node *n) {
  struct node *top = n->left;
  n->left = top->right;
  top->right = n;
  measure(n);
  measure(top);
  return top;
}

static struct node *rotate_left(struct node *n) {
  struct node *top = n->right;
  n->right = top->left;
  top->left = n;
  measure(n);
  measure(top);
  return top;
}

struct node *insert(struct node *n, long key, long value) {
  if (!n) {
    n = malloc(sizeof *n);
    n->left = n->right = 0;
    n->key = key;
    n->value = value;
    n->height = 1;
    return n;
  }
  if (key < n->key) n->left = insert(n->left, key, value);
  else if (key > n->key) n->right = insert(n->right, key, value);
  else n->value = value;
  measure(n);
  int balance = height(n->left) - height(n->right);
  if (balance > 1) {
    if (key > n->left->key) n->left = rotate_left(n->left);
    return rotate_right(n);
  }
  if (balance < -1) {
    if (key < n->right->key) n->right = rotate_right(n->right);
    return rotate_left(n);
  }
  return n;
}

struct entry {
  char *name;
  size_t length, hash;
  double value;
};

struct table {
  struct entry *entries;
  size_t capacity, count;
};

static size_t hash(const char *name, size_t length) {
  size_t h = 14695981039346656037ul;
  for (size_t i = 0; i < length; i++) h = (h ^ (unsigned char)name[i]) * 1099511628211ul;
  return h;
}

struct entry *lookup(struct table *t, const char *name, size_t length) {
  size_t h = hash(name, length);
  if (2 * t->count >= t->capacity) {
    struct table grown = {0, t->capacity ? 2 * t->capacity : 16, t->count};
    grown.entries = malloc(grown.capacity * sizeof *grown.entries);
    for (size_t i = 0; i < grown.capacity; i++) grown.entries[i].name = 0;
    for (size_t i = 0; i < t->capacity; i++) {
      struct entry *e = &t->entries[i];
      size_t at = e->hash & (grown.capacity - 1);
      if (!e->name) continue;
      while (grown.entries[at].name) at = (at + 1) & (grown.capacity - 1);
      grown.entries[at] = *e;
    }
    free(t->entries);
    *t = grown;
  }
  for (size_t at = h & (t->capacity - 1);; at = (at + 1) & (t->capacity - 1)) {
    struct entry *e = &t->entries[at];
    if (!e->name) {
      e->name = malloc(length + 1);
      for (size_t i = 0; i < length; i++) e->name[i] = name[i];
      e->name[length] = 0;
      e->length = length;
      e->hash = h;
      e->value = 0;
      t->count++;
      return e;
    }
    if (e->hash != h || e->length != length) continue;
    size_t i = 0;
    while (i < length && e->name[i] == name[i]) i++;
    if (i == length) return e;
  }
}

enum operation { PUSH, LOAD, STORE, ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATE, ROOT, PRINT, JUMP, BRANCH, END };

struct instruction {
  enum operation operation;
  union {
    double number;
    struct entry *variable;
    int target;
  } operand;
};

struct parser {
  const char *at;
  struct instruction *code;
  int count;
  struct table *variables;
  const char *error;
};

static struct instruction *emit(struct parser *p, enum operation operation) {
  struct instruction *i = &p->code[p->count++];
  i->operation = operation;
  return i;
}

static int is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static int is_digit(char c) { return c >= '0' && c <= '9'; }

static void skip(struct parser *p) {
  while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n') p->at++;
}

static void sum(struct parser *p);

static void factor(struct parser *p) {
  skip(p);
  if (*p->at == '(') {
    p->at++;
    sum(p);
    skip(p);
    if (*p->at == ')') p->at++;
    else p->error = "')' expected";
  } else if (*p->at == '-') {
    p->at++;
    factor(p);
    emit(p, NEGATE);
  } else if (is_digit(*p->at)) {
    double value = 0, scale = 1;
    while (is_digit(*p->at)) value = 10 * value + (*p->at++ - '0');
    if (*p->at == '.')
      for (p->at++; is_digit(*p->at); p->at++) value += (scale /= 10) * (*p->at - '0');
    emit(p, PUSH)->operand.number = value;
  } else if (is_letter(*p->at)) {
    const char *start = p->at;
    while (is_letter(*p->at) || is_digit(*p->at)) p->at++;
    emit(p, LOAD)->operand.variable = lookup(p->variables, start, p->at - start);
  } else p->error = "operand expected";
}

static void product(struct parser *p) {
  factor(p);
  for (skip(p); *p->at == '*' || *p->at == '/'; skip(p)) {
    enum operation operation = *p->at++ == '*' ? MULTIPLY : DIVIDE;
    factor(p);
    emit(p, operation);
  }
}

static void sum(struct parser *p) {
  product(p);
  for (skip(p); *p->at == '+' || *p->at == '-'; skip(p)) {
    enum operation operation = *p->at++ == '+' ? ADD : SUBTRACT;
    product(p);
    emit(p, operation);
  }
}

int interpret(const struct instruction *code, double *stack, int limit) {
  double *top = stack;
  for (const struct instruction *i = code; limit-- > 0; i++) {
    switch (i->operation) {
      case PUSH: *top++ = i->operand.number; break;
      case LOAD: *top++ = i->operand.variable->value; break;
      case STORE: i->operand.variable->value = *--top; break;
      case ADD: top--, top[-1] += *top; break;
      case SUBTRACT: top--, top[-1] -= *top; break;
      case MULTIPLY: top--, top[-1] *= *top; break;
      case DIVIDE: top--, top[-1] /= *top; break;
      case NEGATE: top[-1] = -top[-1]; break;
      case ROOT: top[-1] = sqrt(top[-1]); break;
      case PRINT: printf("%g\n", *--top); break;
      case JUMP: i = code + i->operand.target - 1; break;
      case BRANCH:
        if (*--top != 0) i = code + i->operand.target - 1;
        break;
      case END: return (int)(top - stack);
    }
  }
  return -1;
}

void sort(long *a, long n) {
  while (n > 12) {
    long pivot = a[n / 2], i = 0, j = n - 1;
    do {
      while (a[i] < pivot) i++;
      while (pivot < a[j]) j--;
      if (i <= j) {
        long t = a[i];
        a[i++] = a[j];
        a[j--] = t;
      }
    } while (i <= j);
    if (j < n - i) {
      sort(a, j + 1);
      a += i;
      n -= i;
    } else {
      sort(a + i, n - i);
      n = j + 1;
    }
  }
  for (long i = 1; i < n; i++) {
    long t = a[i], j = i;
    for (; j > 0 && a[j - 1] > t; j--) a[j] = a[j - 1];
    a[j] = t;
  }
}

void multiply(double *restrict to, const double *restrict a, const double *restrict b, int n) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      double s = 0;
      for (int k = 0; k < n; k++) s += a[i * n + k] * b[k * n + j];
      to[i * n + j] = s;
    }
}

int evaluate(const char *text, struct table *variables, double *result) {
  struct instruction code[256];
  double stack[256];
  struct parser p = {text, code, 0, variables, 0};
  sum(&p);
  emit(&p, END);
  if (p.error || *p.at) return -1;
  int depth = interpret(code, stack, 100000);
  if (depth == 1) *result = stack[0];
  return depth;
}
