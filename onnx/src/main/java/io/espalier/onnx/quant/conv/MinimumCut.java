package io.espalier.onnx.quant.conv;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/**
 * Divides nodes between two sides at the least cost of the edges that go from the first to the
 * second, by the greatest flow (Edmonds and Karp, 1972).
 */
final class MinimumCut {
    private static final double LEAST = 1e-9;

    private final List<List<Edge>> edges = new ArrayList<>();
    private final int first;
    private final int second;

    MinimumCut() {
        first = node();
        second = node();
    }

    /** A node of the first side, for certain. */
    int first() {
        return first;
    }

    /** A node of the second side, for certain. */
    int second() {
        return second;
    }

    /** A new node. */
    int node() {
        edges.add(new ArrayList<>());
        return edges.size() - 1;
    }

    /** What it costs that one node is on the first side and another on the second. */
    void cost(int from, int to, double cost) {
        var forward = new Edge(to, cost);
        var backward = new Edge(from, 0);
        forward.reverse = backward;
        backward.reverse = forward;
        edges.get(from).add(forward);
        edges.get(to).add(backward);
    }

    /** Which nodes are on the first side when all costs the least. */
    boolean[] onFirst() {
        Edge[] path = path();
        while (path[second] != null) {
            double flow = Double.POSITIVE_INFINITY;
            for (Edge e = path[second]; e != null; e = path[e.from()]) {
                flow = Math.min(flow, e.left);
            }
            for (Edge e = path[second]; e != null; e = path[e.from()]) {
                e.left -= flow;
                e.reverse.left += flow;
            }
            path = path();
        }
        var reached = new boolean[edges.size()];
        for (int node = 0; node < reached.length; node++) {
            reached[node] = node == first || path[node] != null;
        }
        return reached;
    }

    /** The edges by which each node is reached from the first side, with room left. */
    private Edge[] path() {
        var by = new Edge[edges.size()];
        var queue = new ArrayDeque<Integer>();
        queue.add(first);
        while (!queue.isEmpty()) {
            int node = queue.remove();
            for (Edge edge : edges.get(node)) {
                if (edge.left > LEAST && edge.to != first && by[edge.to] == null) {
                    by[edge.to] = edge;
                    queue.add(edge.to);
                }
            }
        }
        return by;
    }

    private static final class Edge {
        private final int to;
        private double left;
        private Edge reverse;

        Edge(int to, double left) {
            this.to = to;
            this.left = left;
            this.reverse = this;
        }

        private int from() {
            return reverse.to;
        }
    }
}
