CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, city INTEGER, born INTEGER);
CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
  INSERT INTO city SELECT i, 'city ' || (i * 7919 % 997) FROM n;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
  INSERT INTO person SELECT i, 'name ' || (i * 48271 % 65537), i * 31 % 200 + 1, 1900 + i * 17 % 120 FROM n;
CREATE INDEX by_name ON person (name);
CREATE INDEX by_city ON person (city, born);
SELECT city.name, count(*), avg(born), min(person.name)
  FROM person JOIN city ON city.id = person.city
  WHERE born BETWEEN 1930 AND 1990 GROUP BY city.name ORDER BY 2 DESC, 1 LIMIT 10;
UPDATE person SET born = born + 1 WHERE city % 3 = 0;
SELECT count(*) FROM person AS a JOIN person AS b ON a.city = b.city AND a.born = b.born AND a.id < b.id;
DELETE FROM person WHERE name LIKE '%99%';
SELECT count(*), sum(born), max(name) FROM person;
SELECT substr(name, 6, 1) AS digit, count(*) FROM person GROUP BY digit ORDER BY digit;
