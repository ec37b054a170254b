package io.espalier.onnx.quant.matmul;

import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxNode;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;

/**
 * Products that read the same value, which is quantized once for all of them: queries, keys and
 * values of an attention.
 *
 * @param input the value
 * @param channels its last extent
 * @param sites the products, those that stay float too
 */
record SiteGroup(String input, int channels, List<MatMulSite> sites) {
    SiteGroup {
        sites = List.copyOf(sites);
    }

    /** All groups of a graph, in the order in which they are computed. */
    static List<SiteGroup> of(OnnxGraph graph, MatMulSettings settings) {
        var byInput = new LinkedHashMap<String, List<MatMulSite>>();
        for (OnnxNode node : graph.nodes()) {
            MatMulSite.at(graph, node, settings)
                    .ifPresent(site ->
                            byInput.computeIfAbsent(site.input(), i -> new ArrayList<>())
                                    .add(site));
        }
        var groups = new ArrayList<SiteGroup>();
        byInput.forEach((input, sites) ->
                groups.add(new SiteGroup(input, rows(graph, input, sites), sites)));
        return groups;
    }

    /** The rows of the matrices that a value is multiplied by. */
    private static int rows(OnnxGraph graph, String input, List<MatMulSite> sites) {
        List<Long> rows = sites.stream().map(site -> site.rows(graph)).distinct().toList();
        if (rows.size() > 1) {
            throw new EspalierException(
                    "Products of '%s' have matrices of %s rows; they should have as many each."
                            .formatted(input, rows));
        }
        return Math.toIntExact(rows.getFirst());
    }

    /** Those of groups that have something to quantize. */
    static List<SiteGroup> toQuantize(List<SiteGroup> groups) {
        return groups.stream().filter(group -> !group.quantizable().isEmpty()).toList();
    }

    /** Those that are quantized. */
    List<MatMulSite> quantizable() {
        return sites.stream().filter(MatMulSite::isQuantizable).toList();
    }

    /** Whether a node is one of its products. */
    boolean has(OnnxNode node) {
        return sites.stream().anyMatch(site -> site.node() == node);
    }
}
