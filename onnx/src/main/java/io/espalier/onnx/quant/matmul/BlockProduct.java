package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.ConstantTensor;
import io.espalier.onnx.model.ElementType;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.quant.accuracy.BlockedWeight;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * A matrix that becomes 4-bit integers, and all products that are computed with it.
 *
 * @param sites which multiply by the same matrix in the same way, so that it is stored once
 */
record BlockProduct(List<MatMulSite> sites) {
    /** Activations in blocks of 8-bit integers: the runtime's fastest kernel. */
    private static final long ACCURACY_LEVEL = 4;

    private static final long BITS = 4;

    BlockProduct {
        sites = List.copyOf(sites);
    }

    /** The matrices of these sites, in their order. */
    static List<BlockProduct> of(List<MatMulSite> sites) {
        var byMatrix = new LinkedHashMap<String, List<MatMulSite>>();
        for (MatMulSite site : sites) {
            byMatrix.computeIfAbsent(site.matrixKey(), key -> new ArrayList<>()).add(site);
        }
        return byMatrix.values().stream().map(BlockProduct::new).toList();
    }

    MatMulSite first() {
        return sites.getFirst();
    }

    /** The values that are multiplied. */
    Set<String> inputs() {
        var inputs = new LinkedHashSet<String>();
        sites.forEach(site -> inputs.add(site.input()));
        return inputs;
    }

    /** Puts the runtime's operator in the place of each product. */
    void write(OnnxGraph graph, BlockedWeight weight) {
        String name = first().weightName();
        List<String> matrix =
                List.of(
                        graph.addConstant(name + "_q", integers(weight)),
                        graph.addConstant(
                                name + "_s",
                                ConstantTensor.floats(
                                        List.of((long) weight.scales().length), weight.scales())),
                        graph.addConstant(name + "_z", zeroPoints(weight)));
        for (MatMulSite site : sites) {
            var inputs = new ArrayList<>(List.of(site.input()));
            inputs.addAll(matrix);
            site.bias(graph)
                    .ifPresent(bias -> {
                        inputs.add("");
                        inputs.add(
                                graph.addConstant(
                                        name + "_b",
                                        ConstantTensor.floats(List.of((long) bias.length), bias)));
                    });
            site.add().ifPresent(graph::remove);
            graph.replace(
                    site.node(),
                    OnnxNode.of(OnnxNode.MICROSOFT, "MatMulNBits", inputs, List.of(site.output()))
                            .with("K", (long) weight.rows())
                            .with("N", (long) weight.columns())
                            .with("bits", BITS)
                            .with("block_size", (long) weight.block())
                            .with("accuracy_level", ACCURACY_LEVEL));
        }
    }

    /** Two integers a byte, the first in the lower bits; the last block is filled with zeros. */
    private static ConstantTensor integers(BlockedWeight weight) {
        int blocks = weight.blocksPerColumn();
        int bytesPerBlock = weight.block() / 2;
        int bytesPerColumn = blocks * bytesPerBlock;
        var packed = new byte[Math.multiplyExact(weight.columns(), bytesPerColumn)];
        for (int column = 0; column < weight.columns(); column++) {
            for (int row = 0; row < blocks * weight.block(); row++) {
                int integer =
                        row < weight.rows()
                                ? weight.integers()[column * weight.rows() + row]
                                : weight.zeroPoints()[column * blocks + row / weight.block()];
                packed[column * bytesPerColumn + row / 2] |= (byte) (integer << (row % 2 * 4));
            }
        }
        return ConstantTensor.bytes(
                ElementType.UINT8,
                List.of((long) weight.columns(), (long) blocks, (long) bytesPerBlock),
                packed);
    }

    /** Two zero points a byte; those of each column begin with a byte of their own. */
    private static ConstantTensor zeroPoints(BlockedWeight weight) {
        int blocks = weight.blocksPerColumn();
        int bytesPerColumn = Math.ceilDiv(blocks, 2);
        var packed = new byte[weight.columns() * bytesPerColumn];
        for (int i = 0; i < weight.zeroPoints().length; i++) {
            int block = i % blocks;
            packed[i / blocks * bytesPerColumn + block / 2] |=
                    (byte) (weight.zeroPoints()[i] << (block % 2 * 4));
        }
        return ConstantTensor.bytes(ElementType.UINT8, List.of((long) packed.length), packed);
    }
}
