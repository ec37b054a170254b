package io.espalier.graph;

import io.espalier.tensor.EspalierException;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Reads a {@link Size}: factors joined by + − * /, a number on the right of all but *; other joints
 * stand before their two sizes.
 */
final class SizeParser {
    private static final Pattern TOKEN = Pattern.compile("\\s*(\\w+|[(),+*/-])");

    private final String text;
    private final Deque<String> tokens = new ArrayDeque<>();

    SizeParser(String text) {
        this.text = text;
        Matcher matcher = TOKEN.matcher(text);
        int end = 0;
        while (matcher.find() && matcher.start() == end) {
            tokens.add(matcher.group(1));
            end = matcher.end();
        }
        if (end != text.length() || tokens.size() > 400) {
            throw wrong();
        }
    }

    Size parse() {
        Size size = expression();
        if (!tokens.isEmpty()) {
            throw wrong();
        }
        return size;
    }

    private Size expression() {
        Size size = factor();
        while (!tokens.isEmpty() && List.of("+", "-", "*", "/").contains(tokens.peek())) {
            size =
                    switch (tokens.remove()) {
                        case "+" -> new Size.Plus(size, number());
                        case "-" -> new Size.Plus(size, -number());
                        case "*" -> new Size.Times(size, factor());
                        default -> {
                            long divisor = number();
                            if (divisor < 1) {
                                throw wrong();
                            }
                            yield new Size.Over(size, divisor);
                        }
                    };
        }
        return size;
    }

    private Size factor() {
        String token = next();
        if (token.equals("(")) {
            Size inner = expression();
            expect(")");
            return inner;
        }
        if (token.equals("size")) {
            expect("(");
            long dim = number();
            expect(")");
            if (dim < 0 || dim > 100) {
                throw wrong();
            }
            return new Size.OfOperand((int) dim);
        }
        if ("(".equals(tokens.peek())) {
            return joined(token);
        }
        return Character.isDigit(token.charAt(0))
                ? new Size.Fixed(parseLong(token))
                : new Size.Free(token);
    }

    private Size joined(String name) {
        for (Size.Join join : Size.Join.values()) {
            if (join.toString().equals(name)) {
                expect("(");
                Size a = expression();
                expect(",");
                Size b = expression();
                expect(")");
                return new Size.Joined(join, a, b);
            }
        }
        throw wrong();
    }

    private long number() {
        return parseLong(next());
    }

    private long parseLong(String token) {
        try {
            return Long.parseLong(token);
        } catch (NumberFormatException e) {
            throw new EspalierException("'" + text + "' is no size.", e);
        }
    }

    private String next() {
        if (tokens.isEmpty()) {
            throw wrong();
        }
        return tokens.remove();
    }

    private void expect(String token) {
        if (!next().equals(token)) {
            throw wrong();
        }
    }

    private EspalierException wrong() {
        return new EspalierException("'" + text + "' is no size.");
    }
}
