package io.espalier.onnx.slim;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.slim.Place;
import io.espalier.slim.Unit;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** How large the weights of a unit are, all that compute and read it together. */
final class Magnitude {
    private final OnnxGraph graph;
    private final Map<Place, double[]> squares = new HashMap<>();

    Magnitude(OnnxGraph graph) {
        this.graph = graph;
    }

    /** The sum of their squares, each dimension's by its mean so that none drowns the others. */
    double of(Unit unit) {
        double sum = 0;
        for (Map.Entry<Place, int[]> slice : unit.slices().entrySet()) {
            double[] each = squares.computeIfAbsent(slice.getKey(), this::squares);
            for (int index : slice.getValue()) {
                sum += each[index];
            }
        }
        return sum;
    }

    private double[] squares(Place place) {
        ConstantTensor constant = graph.constants().get(place.constant());
        if (constant == null) {
            return new double[0];
        }
        List<Long> shape = constant.shape();
        int length = Math.toIntExact(shape.get(place.dimension()));
        long inner =
                shape.subList(place.dimension() + 1, shape.size()).stream()
                        .reduce(1L, (a, b) -> a * b);
        double[] sums = new double[length];
        double all = 0;
        float[] values = constant.toFloats();
        for (int i = 0; i < values.length; i++) {
            double square = (double) values[i] * values[i];
            sums[(int) (i / inner % length)] += square;
            all += square;
        }
        if (shape.size() < 2 || all == 0) {
            return new double[length];
        }
        for (int i = 0; i < length; i++) {
            sums[i] *= length / all;
        }
        return sums;
    }
}
